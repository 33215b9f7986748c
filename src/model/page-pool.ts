// The pages of the KV cache: which are free, which belong to a sequence, which hold a beginning that others may read. Pure: it
// counts pages and touches no device.
//
// A page that is full can be published. It is never written again, and a sequence whose ids begin as it says reads it in place
// of computing them: the published pages are a tree, in which a page is the child of the page before it under its 64 ids,
// compared whole. Those that no sequence holds stay until their memory is needed; the least recently used goes first.
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
  /** Where it hangs in the tree; undefined: it is not published. */
  place: { readonly parent: Children; readonly key: string } | undefined;
  readonly children: Children;
}

type Children = Map<string, Page>;

/** Pages of one sequence, until they are released. */
export interface PageLease {
  /** Block b of the sequence lies in page `pages[b]`. */
  readonly pages: Int32Array;
  /** Positions from 0 whose keys and values are there already: whole pages, and never the whole prompt. */
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
   */
  reserve(ids: Int32Array, positions: number, share: boolean): PageLease | undefined {
    // The last id of a prompt is always computed: somebody wants what comes after it.
    const known = share ? this.#find(ids, Math.floor((ids.length - 1) / PAGE_KEYS)) : [];
    const own = Math.ceil(positions / PAGE_KEYS) - known.length;
    const idle = known.filter(({ holders }) => holders === 0).length;
    if (own > this.#free.length + this.#idle.size - idle) return undefined;
    for (const page of known) this.#hold(page);
    const held = [...known];
    for (let i = 0; i < own; i++) {
      const page: Page = { index: this.#take(), holders: 0, place: undefined, children: new Map() };
      this.#hold(page);
      held.push(page);
    }
    return this.#lease(held, known.length, share);
  }

  #lease(held: readonly Page[], known: number, share: boolean): PageLease {
    let published = known;
    let released = false;
    return {
      pages: Int32Array.from(held, ({ index }) => index),
      cached: known * PAGE_KEYS,
      publish: (ids) => {
        const full = Math.floor(ids.length / PAGE_KEYS);
        if (!share || full <= published) return;
        published = full;
        this.#publish(held, ids, full);
      },
      release: () => {
        if (released) return;
        released = true;
        // From its end: a beginning is of use to more than what follows it, and stays longer.
        for (const page of held.toReversed()) this.#leave(page);
      },
    };
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

  /** Where two have computed the same page at once, that of the first is in the tree; the other's is its own. */
  #publish(held: readonly Page[], ids: Int32Array, full: number): void {
    let children = this.#roots;
    for (let block = 0; block < full; block++) {
      const key = keyOf(ids, block);
      let page = children.get(key);
      if (page === undefined) {
        page = held[block]!;
        page.place = { parent: children, key };
        children.set(key, page);
      }
      children = page.children;
    }
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
