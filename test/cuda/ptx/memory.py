"""Memory of a launch: allocations of the device, shared memory of its blocks, local memory of its threads, as flat arrays of bytes."""

from bisect import bisect_right

import numpy as np

from parse import Fault

#: Where generic addresses of shared and local memory begin.
WINDOW_BITS = 60
SHARED_WINDOW, LOCAL_WINDOW = 1 << WINDOW_BITS, 2 << WINDOW_BITS
UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def of_lanes(values, lanes):
    """Elements of some lanes; None: of all."""
    return values if lanes is None else values[lanes]


class Flat:
    """Bytes that are read and written by offsets, one a lane."""

    def __init__(self, size):
        self.bytes = np.full((size + 15) // 16 * 16, 0xFF, np.uint8)
        self.views = {width: self.bytes.view(kind) for width, kind in UNSIGNED.items()}

    def load(self, offsets, width):
        return self.views[width][offsets >> (width.bit_length() - 1)]

    def store(self, offsets, width, values):
        self.views[width][offsets >> (width.bit_length() - 1)] = values


class Global(Flat):
    """Allocations at the addresses that the launch knows them by."""

    def __init__(self, allocations):
        """`allocations`: (address, contents) pairs."""
        allocations = sorted(allocations)
        self.starts = [address for address, _ in allocations]
        self.ends = [address + len(data) for address, data in allocations]
        self.places = []
        size = 0
        for _, data in allocations:
            self.places.append(size)
            size += (len(data) + 255) // 256 * 256
        super().__init__(size)
        for (_, data), place in zip(allocations, self.places):
            self.bytes[place : place + len(data)] = np.frombuffer(data, np.uint8)

    def contents(self, address):
        i = self.starts.index(address)
        return self.bytes[self.places[i] : self.places[i] + self.ends[i] - address]

    def offsets(self, addresses, size):
        low, high = int(addresses.min()), int(addresses.max())
        i = bisect_right(self.starts, low) - 1
        if i >= 0 and high + size <= self.ends[i]:
            offsets = (addresses - np.uint64(self.starts[i])).astype(np.int64) + self.places[i]
        else:
            offsets = self._scattered(addresses, size)
        if size > 1 and (addresses & np.uint64(size - 1)).any():
            raise Fault(f"an access of {size} bytes is misaligned")
        return offsets

    def _scattered(self, addresses, size):
        if not self.starts:
            raise Fault("an access of global memory, where there is none")
        i = np.searchsorted(np.array(self.starts, np.uint64), addresses, "right") - 1
        ends = np.array(self.ends, np.uint64)[i]
        wrong = (i < 0) | (addresses + np.uint64(size) > ends)
        if wrong.any():
            raise Fault(f"an access of {size} bytes at {int(addresses[wrong][0]):#x}, which belongs to nothing")
        return (addresses - np.array(self.starts, np.uint64)[i]).astype(np.int64) + np.array(self.places)[i]


class Parts(Flat):
    """Shared or local memory: `parts` of `size` bytes each, one a block or lane."""

    def __init__(self, name, parts, size):
        self.name, self.size = name, size
        self.stride = (size + 15) // 16 * 16
        super().__init__(parts * self.stride)

    def offsets(self, addresses, parts, size):
        addresses = addresses.astype(np.int64)
        if addresses.size and (int(addresses.min()) < 0 or int(addresses.max()) + size > self.size):
            raise Fault(f"an access of {size} bytes beyond the {self.size} of {self.name} memory: at {int(addresses.max())}")
        if size > 1 and (addresses & (size - 1)).any():
            raise Fault(f"an access of {size} bytes of {self.name} memory is misaligned")
        return addresses + parts * self.stride
