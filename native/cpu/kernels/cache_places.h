// Where a row's key and value lie in the cache, and the checks that keep any contents inside it.

struct CachePlaces {
  const int32_t* slots;
  const int32_t* positions;
  const int32_t* pageTable;
  uint32_t slotCount, blocks, pages;

  bool padding(size_t row) const { return slots[row] < 0 || positions[row] < 0; }
  // The page that holds a position of the row's slot; −1 where the table, or an index, names none.
  int64_t page(size_t row, uint32_t block) const {
    const auto slot = uint32_t(slots[row]);
    if (slot >= slotCount || block >= blocks) return -1;
    const int32_t page = pageTable[size_t(slot) * blocks + block];
    return page >= 0 && uint32_t(page) < pages ? page : -1;
  }
};

QUIPU_INLINE CachePlaces placesOf(const View& slots, const View& positions, const View& pageTable, const View& keys) {
  return {slots.as<int32_t>(), positions.as<int32_t>(), pageTable.as<int32_t>(),
          pageTable.dims[0],   pageTable.dims[1],       keys.dims[0]};
}
