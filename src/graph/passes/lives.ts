// Where blocks of memory lie while they live: a tree over the ops of a list. A node spans a run of ops, and keeps the blocks
// that live all through it but not all through its parent's span. Those of one node are all there at once, so they share no
// byte and are in order of their ends as of their offsets. A block is kept by at most 2 · log₂(ops) nodes.
//
// Every node also knows up to where memory is full all through its span: a list whose values all live on, as those of a
// forward pass do until the backward one, is then placed without a look at what lies below: a walk over all blocks that are
// placed takes the square of their number.

/** Memory of a value, or of several that take it over one after another. */
export interface Block {
  readonly bytes: number;
  /** Ops at which it begins and ends to live. */
  readonly first: number;
  last: number;
  offset: number;
}

const { max } = Math;

const endOf = (block: Block) => block.offset + block.bytes;

interface Node {
  /** In order of their offsets. */
  readonly blocks: Block[];
  /** The greatest end of a block of this node or below. */
  end: number;
  /** Everything under this is taken all through the span, by blocks of this node and above. */
  full: number;
  /** The greatest `full` of this node and below. */
  fullest: number;
}

export class Lives {
  /** As a heap: the children of node i are 2i and 2i + 1; the spans of the leaves are single ops. */
  readonly #nodes: Node[];
  readonly #ops: number;

  constructor(ops: number) {
    this.#ops = 2 ** Math.ceil(Math.log2(max(ops, 1)));
    this.#nodes = Array.from({ length: 2 * this.#ops }, () => ({ blocks: [], end: 0, full: 0, fullest: 0 }));
  }

  /** Gives `block` the lowest offset that is free from its first op to its last. */
  place(block: Block): void {
    if (block.bytes === 0) return;
    let offset = this.#fullest(block, 1, 0, this.#ops);
    let next = this.#next(block, offset);
    while (next !== undefined && next.offset < offset + block.bytes) {
      offset = endOf(next);
      next = this.#next(block, offset);
    }
    block.offset = offset;
    this.#insert(block, 0, 1, 0, this.#ops);
  }

  /** Up to where memory is full at one of the block's ops at least. */
  #fullest(block: Block, index: number, from: number, to: number): number {
    const node = this.#nodes[index]!;
    if (block.first <= from && to - 1 <= block.last) return node.fullest;
    const middle = (from + to) / 2;
    let full = node.full;
    if (block.first < middle) full = max(full, this.#fullest(block, 2 * index, from, middle));
    if (block.last >= middle) full = max(full, this.#fullest(block, 2 * index + 1, middle, to));
    return full;
  }

  /** Of what lives with `block` at some time and ends above `offset`, the one that begins lowest. */
  #next(block: Block, offset: number): Block | undefined {
    let lowest: Block | undefined;
    const look = (index: number, from: number, to: number) => {
      const { blocks, end } = this.#nodes[index]!;
      if (end <= offset) return;
      const first = blocks[firstAbove(blocks, offset)];
      if (first !== undefined && (lowest === undefined || first.offset < lowest.offset)) lowest = first;
      if (to - from === 1) return;
      const middle = (from + to) / 2;
      if (block.first < middle) look(2 * index, from, middle);
      if (block.last >= middle) look(2 * index + 1, middle, to);
    };
    look(1, 0, this.#ops);
    return lowest;
  }

  /** `above`: up to where the nodes above are full. */
  #insert(block: Block, above: number, index: number, from: number, to: number): void {
    const node = this.#nodes[index]!;
    const full = max(above, node.full);
    if (block.first <= from && to - 1 <= block.last) {
      node.blocks.splice(firstAbove(node.blocks, block.offset), 0, block);
      this.#raise(block, above, index);
    } else {
      const middle = (from + to) / 2;
      if (block.first < middle) this.#insert(block, full, 2 * index, from, middle);
      if (block.last >= middle) this.#insert(block, full, 2 * index + 1, middle, to);
    }
    node.end = max(node.end, endOf(block));
    node.fullest = max(node.full, this.#below(index, 0), this.#below(index, 1));
  }

  /** Memory that was full up to the block's begin is now full up to its end: in a node whose span it lives through. */
  #raise(block: Block, above: number, index: number): void {
    const node = this.#nodes[index]!;
    const full = max(above, node.full);
    if (full >= block.offset) {
      node.full = max(full, endOf(block));
    } else if (node.fullest >= block.offset) {
      this.#raise(block, full, 2 * index);
      this.#raise(block, full, 2 * index + 1);
    }
    node.fullest = max(node.full, this.#below(index, 0), this.#below(index, 1));
  }

  /** The greatest `full` of a child and below it; 0 below a leaf. */
  #below(index: number, side: 0 | 1): number {
    return index < this.#ops ? this.#nodes[2 * index + side]!.fullest : 0;
  }
}

/** Where in `blocks`, which share no byte and are in order, the first is that ends above `offset`. */
function firstAbove(blocks: readonly Block[], offset: number): number {
  let [low, high] = [0, blocks.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (endOf(blocks[middle]!) > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}
