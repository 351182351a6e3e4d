"""Codes that compiled steps leave in the status vector (code, detail); 0 means that all is well."""

OK = 0
NOT_FINITE = 1  # a decoded sum is not a number, or out of the range of its fixed point; detail: its row
FULL = 2  # the buffer of recorded events is nearly full: drain it and go on
CALL_FAILED = 4  # a Python function raised; detail: its number
STOPPED = 3  # a wire gave up: stopped by the supervisor; detail: code of the wire
