# What llama.cpp's formats make of numbers: reads f32 rows from stdin, says what they are after quantizing, on stdout.
#
#   python ggml_round_trip.py TYPE COLUMNS < rows.f32 > rows.f32      TYPE: Q8_0, Q4_0, Q4_1, Q4_K, Q6_K, F16
#
# By the library that llama-cpp-python brings (ggml_quantize_chunk, dequantize_row_…); bench/quality.js calls it.
import ctypes
import pathlib
import sys

import llama_cpp
import numpy as np

TYPES = {"Q4_0": 2, "Q4_1": 3, "Q8_0": 8, "Q4_K": 12, "Q6_K": 14}
NAMES = {"Q4_0": "q4_0", "Q4_1": "q4_1", "Q8_0": "q8_0", "Q4_K": "q4_K", "Q6_K": "q6_K"}

name, columns = sys.argv[1], int(sys.argv[2])
if name == "F16":
    sys.stdout.buffer.write(np.frombuffer(sys.stdin.buffer.read(), np.float32).astype(np.float16).astype(np.float32).tobytes())
    sys.exit()
library = next((pathlib.Path(llama_cpp.__file__).parent / "lib").glob("libggml-base.so*"))
ggml = ctypes.CDLL(str(library))
rows = np.frombuffer(sys.stdin.buffer.read(), np.float32).reshape(-1, columns)
packed = np.zeros(rows.size * 2 + 1024, np.uint8)
pointer = lambda array: array.ctypes.data_as(ctypes.c_void_p)
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
count = ctypes.c_int64
ggml.ggml_quantize_chunk(TYPES[name], pointer(np.ascontiguousarray(rows)), pointer(packed), count(0), count(len(rows)), count(columns), None)
values = np.zeros(rows.size, np.float32)
getattr(ggml, f"dequantize_row_{NAMES[name]}")(pointer(packed), pointer(values), count(rows.size))
sys.stdout.buffer.write(values.tobytes())
