"""The cost of reading a body or writing an answer: the number of bytes of JSON that take as long to read.

What the network computes is counted apart, in `batching`.
"""

# Bytes of an array that cost as much as one byte of JSON. An array's are copied and checked; JSON is parsed digit by
# digit: measured, 0.033 ns and 1.05 ns a byte.
ARRAY_DISCOUNT = 32
# Admission counts an answer this much less than a body: up to 1 MiB of JSON, which takes about 2 ms, needs no place.
ANSWER_DISCOUNT = 32
# The longest float64 in JSON has 24 bytes: -1.2345678901234567e-308.
COST_OF_JSON_NUMBER = 24.0
# A float64 of an array has 8.
COST_OF_ARRAY_NUMBER = 8 / ARRAY_DISCOUNT
