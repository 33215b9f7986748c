// The pages of the KV cache: which are free, which belong to a sequence, which hold a beginning that others may read. Pure: it
// counts pages and touches no device.
//
// A page that is full can be published. It is never written again, and a sequence whose ids begin as it says reads it in place
// of computing them: the published pages are a tree, in which a page is the child of the page before it under its 64 ids,
// compared whole. Those that no sequence holds stay until their memory is needed; the least recently used goes first.
//
// A keeper makes more of its own pages: the last page of its sequence, which is not full, hangs in the tree too, under the keeper,
// so that nobody else finds it. What goes on with the keeper's ids takes it over and computes from there; where the ids differ within a page that
// nobody else has, that page is taken out of the tree, and written again from the first difference on.
import { PAGE_KEYS } from "../graph/ops.js";

export interface PageCounts {
  /** Held by sequences. */
  readonly used: number;
  /** Of those, held by two or more. */
  readonly shared: number;
  /** Published and held by none: given up when they are needed. */
  readonly cached: number;
  readonly free: number;
}

interface Page {
  readonly index: number;
  holders: number;
  /** Keepers that remember it. */
  keepers: number;
  /** Where it hangs in the tree; undefined: it is not published. */
  place: { readonly parent: Children; readonly key: string | PageKeeper } | undefined;
  readonly children: Children;
}

/** By the ids of a block, or of what is no whole block by its keeper. */
type Children = Map<string | PageKeeper, Page>;

/** What remembers the pages of the last sequence of somebody who will come again with most of its ids. */
export class PageKeeper {
  /** Ids whose keys and values are there, or were. */
  ids: Int32Array = new Int32Array();
  /** Their pages in the tree, the last one not full where the ids do not fill it. Any of them may have gone. */
  pages: readonly Page[] = [];
  /** A sequence has it. */
  isLeased = false;
  /** Nobody will come again. */
  isClosed = false;
}

/** Pages of one sequence, until they are released. */
export interface PageLease {
  /** Block b of the sequence lies in page `pages[b]`. */
  readonly pages: Int32Array;
  /** Positions from 0 whose keys and values are there already: whole pages but with a keeper, and never the whole prompt. */
  readonly cached: number;
  /** Says that `ids` from position 0 are in the pages. What is full becomes readable for others. */
  publish(ids: Int32Array): void;
  /** A second call does nothing. */
  release(): void;
}

export class PagePool {
  readonly #roots: Children = new Map();
  readonly #free: number[]; // the last is taken first: memory that was touched before
  readonly #idle = new Set<Page>(); // published and held by none, the least recently used first
  #used = 0;
  #shared = 0;

  constructor(pages: number) {
    this.#free = Array.from({ length: pages }, (_, i) => pages - 1 - i);
  }

  counts(): PageCounts {
    return { used: this.#used, shared: this.#shared, cached: this.#idle.size, free: this.#free.length };
  }

  /**
   * Pages for a sequence that begins with `ids` and grows to `positions`; undefined where there are too few.
   *
   * @param share whether it may read the pages of others, and they its own.
   * @param keeper goes on where it remembers the beginning of `ids`, and remembers the pages of this sequence when that is over. Only one
   *   sequence at a time has it: undefined while another does.
   */
  reserve(ids: Int32Array, positions: number, share: boolean, keeper?: PageKeeper): PageLease | undefined {
    if (keeper?.isLeased) return undefined;
    // The last id of a prompt is always computed: somebody wants what comes after it.
    const most = ids.length - 1;
    const known = share ? this.#find(ids, Math.floor(most / PAGE_KEYS)) : [];
    const begun = share && keeper !== undefined ? this.#begun(keeper, ids.subarray(0, most), known.length) : undefined;
    const own = Math.ceil(positions / PAGE_KEYS) - known.length - (begun === undefined ? 0 : 1);
    const idle = [...known, ...(begun === undefined ? [] : [begun.page])].filter(({ holders }) => holders === 0).length;
    if (own > this.#free.length + this.#idle.size - idle) return undefined;
    for (const page of known) this.#hold(page);
    const held = [...known];
    if (begun !== undefined) {
      this.#hold(begun.page);
      this.#evict(begun.page); // what it says from the first difference on is no longer true
      held.push(begun.page);
    }
    if (keeper !== undefined) {
      this.#forget(keeper);
      keeper.isLeased = true;
    }
    for (let i = 0; i < own; i++) {
      const page: Page = { index: this.#take(), holders: 0, keepers: 0, place: undefined, children: new Map() };
      this.#hold(page);
      held.push(page);
    }
    return this.#lease(held, known.length * PAGE_KEYS + (begun?.keys ?? 0), share, keeper);
  }

  /** `keeper` is used no more: gives back what it alone can find. */
  close(keeper: PageKeeper): void {
    keeper.isClosed = true;
    this.#forget(keeper);
  }

  #forget(keeper: PageKeeper): void {
    for (const page of keeper.pages) page.keepers -= 1;
    const last = keeper.pages.at(-1);
    if (last?.place?.key === keeper) this.#evict(last);
    [keeper.ids, keeper.pages] = [new Int32Array(), []];
  }

  #lease(held: readonly Page[], cached: number, share: boolean, keeper: PageKeeper | undefined): PageLease {
    let published = Math.floor(cached / PAGE_KEYS);
    let filled: Int32Array = new Int32Array();
    let released = false;
    return {
      pages: Int32Array.from(held, ({ index }) => index),
      cached,
      publish: (ids) => {
        if (!share) return;
        if (ids.length > filled.length) filled = ids;
        const full = Math.floor(ids.length / PAGE_KEYS);
        if (full <= published) return;
        published = full;
        this.#publish(held, ids, full);
      },
      release: () => {
        if (released) return;
        released = true;
        if (keeper !== undefined) this.#keep(keeper, held, filled);
        // From its end: a beginning is of use to more than what follows it, and stays longer.
        for (const page of held.toReversed()) this.#leave(page);
      },
    };
  }

  /** Has `keeper` remember the pages that hold `ids`. */
  #keep(keeper: PageKeeper, held: readonly Page[], ids: Int32Array): void {
    keeper.isLeased = false;
    if (keeper.isClosed) return;
    const full = Math.floor(ids.length / PAGE_KEYS);
    const { pages, children } = this.#publish(held, ids, full);
    const last = held[full];
    if (ids.length % PAGE_KEYS > 0 && last !== undefined) {
      last.place = { parent: children, key: keeper };
      children.set(keeper, last);
      pages.push(last);
    }
    for (const page of pages) page.keepers += 1;
    [keeper.ids, keeper.pages] = [ids.slice(), pages];
  }

  /** The page of `keeper` in which `ids` go on after `known` pages, and how many of its keys they begin with; undefined where others have it. */
  #begun(keeper: PageKeeper, ids: Int32Array, known: number): { page: Page; keys: number } | undefined {
    const page = keeper.pages[known];
    if (page?.place === undefined || page.holders > 0 || page.keepers > 1) return undefined;
    const first = known * PAGE_KEYS;
    let end = first;
    const most = Math.min(ids.length, keeper.ids.length, first + PAGE_KEYS);
    while (end < most && ids[end] === keeper.ids[end]) end++;
    const isSame = ids.subarray(0, first).every((id, i) => id === keeper.ids[i]);
    return isSame && end > first ? { page, keys: end - first } : undefined;
  }

  /** Up to `most` published pages that `ids` begin with. */
  #find(ids: Int32Array, most: number): Page[] {
    const found: Page[] = [];
    let children = this.#roots;
    while (found.length < most) {
      const page = children.get(keyOf(ids, found.length));
      if (page === undefined) break;
      found.push(page);
      children = page.children;
    }
    return found;
  }

  /**
   * Where two have computed the same page at once, that of the first is in the tree; the other's is its own.
   *
   * @returns the pages of the tree that hold these ids, and what hangs under the last of them.
   */
  #publish(held: readonly Page[], ids: Int32Array, full: number): { pages: Page[]; children: Children } {
    const pages: Page[] = [];
    let children = this.#roots;
    for (let block = 0; block < full; block++) {
      const key = keyOf(ids, block);
      let page = children.get(key);
      if (page === undefined) {
        page = held[block]!;
        page.place = { parent: children, key };
        children.set(key, page);
      }
      pages.push(page);
      children = page.children;
    }
    return { pages, children };
  }

  #hold(page: Page): void {
    page.holders += 1;
    if (page.holders === 1) this.#used += 1;
    if (page.holders === 2) this.#shared += 1;
    this.#idle.delete(page);
  }

  #leave(page: Page): void {
    page.holders -= 1;
    if (page.holders === 1) this.#shared -= 1;
    if (page.holders > 0) return;
    this.#used -= 1;
    if (page.place === undefined) this.#free.push(page.index);
    else this.#idle.add(page);
  }

  #take(): number {
    if (this.#free.length === 0) this.#evict(this.#idle.values().next().value!);
    return this.#free.pop()!;
  }

  /** Takes a page out of the tree, with what can be reached through it alone; what nobody holds is free. */
  #evict(page: Page): void {
    for (const child of [...page.children.values()]) this.#evict(child);
    page.place!.parent.delete(page.place!.key);
    page.place = undefined;
    if (this.#idle.delete(page)) this.#free.push(page.index);
  }
}

/** The ids of a block, as a text of two characters an id. */
function keyOf(ids: Int32Array, block: number): string {
  const words = new Uint16Array(ids.slice(block * PAGE_KEYS, (block + 1) * PAGE_KEYS).buffer);
  return String.fromCharCode(...words);
}
