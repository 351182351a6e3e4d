"""Streams of random numbers: those of NumPy's `RandomState`, bit for bit, and our own.

A stream is a vector of int64 that a program changes from step to step:

    [POSITION]  numbers of the block that are used; 0: not seeded yet, OWN: a stream of our own
    [CACHED]    whether a normal number is left, and [NORMAL] its bits
    [WORDS:]    the block, 624 numbers of 32 bits; of our own the counter

NumPy's are the Mersenne Twister MT19937 (Matsumoto and Nishimura 1998), seeded by one number, and the
distributions that `RandomState` keeps for ever: numbers of 53 bits, normal ones by Marsaglia's polar method,
gamma by Marsaglia and Tsang (2000), beta by Johnk (1964), Poisson by Hoermann (1993).  Our own are SplitMix64
(Steele, Lea and Flood 2014), begun anew at every step: a function of key and step.

The order of operations decides the last bits, so none of these functions may be computed otherwise: they are
compiled without any liberty, wherever they are called.
"""

from __future__ import annotations

import numpy as np
from numba.extending import register_jitable
from spike_runtime.ops.sources import GOLDEN, mix

POSITION, CACHED, NORMAL, WORDS = 0, 1, 2, 3
OWN = -1
BLOCK, SHIFT = 624, 397
UPPER, LOWER, TWIST = 0x80000000, 0x7FFFFFFF, 0x9908B0DF
ALL = 0xFFFFFFFF
# Numbers of a stream, and of one of our own.
LENGTH, OWN_LENGTH = WORDS + BLOCK, WORDS + 1

exactly = register_jitable(fastmath=False, error_model="numpy")


@exactly
def begin(s, key, own, n):  # type: ignore[no-untyped-def]
    """Before the numbers of step n: the stream of a key, seeded where it is not yet."""
    if own:
        s[POSITION], s[CACHED] = OWN, 0
        s[WORDS] = np.int64(mix(key + GOLDEN * np.uint64(n)))
    elif s[POSITION] == 0:
        seed(s, np.int64(key & np.uint64(ALL)))


@exactly
def seed(s, number):  # type: ignore[no-untyped-def]
    """MT19937 from one number of 32 bits, as `RandomState(number)` begins."""
    s[POSITION], s[CACHED] = BLOCK, 0
    s[WORDS] = number
    for i in range(1, BLOCK):
        before = s[WORDS + i - 1]
        s[WORDS + i] = (1812433253 * (before ^ (before >> 30)) + i) & ALL


@exactly
def _refill(s):  # type: ignore[no-untyped-def]
    """The next 624 numbers of MT19937."""
    w = s[WORDS:]
    for i in range(BLOCK - SHIFT):
        y = (w[i] & UPPER) | (w[i + 1] & LOWER)
        w[i] = w[i + SHIFT] ^ (y >> 1) ^ ((y & 1) * TWIST)
    for i in range(BLOCK - SHIFT, BLOCK - 1):
        y = (w[i] & UPPER) | (w[i + 1] & LOWER)
        w[i] = w[i + SHIFT - BLOCK] ^ (y >> 1) ^ ((y & 1) * TWIST)
    y = (w[BLOCK - 1] & UPPER) | (w[0] & LOWER)
    w[BLOCK - 1] = w[SHIFT - 1] ^ (y >> 1) ^ ((y & 1) * TWIST)
    s[POSITION] = 0


@exactly
def _tempered(y):  # type: ignore[no-untyped-def]
    y ^= y >> 11
    y ^= (y << 7) & 0x9D2C5680
    y ^= (y << 15) & 0xEFC60000
    return y ^ (y >> 18)


@exactly
def word(s):  # type: ignore[no-untyped-def]
    """A number of 32 bits."""
    if s[POSITION] == OWN:
        counter = np.uint64(s[WORDS]) + GOLDEN
        s[WORDS] = np.int64(counter)
        return np.int64(mix(counter) >> np.uint64(32))
    if s[POSITION] == BLOCK:
        _refill(s)
    s[POSITION] += 1
    return _tempered(s[WORDS + s[POSITION] - 1])


@exactly
def skip(s, count):  # type: ignore[no-untyped-def]
    """Pass over so many numbers of 32 bits of a stream of NumPy's."""
    while count > 0:
        if s[POSITION] == BLOCK:
            _refill(s)
        taken = min(count, BLOCK - s[POSITION])
        s[POSITION] += taken
        count -= taken


@exactly
def _joined(first, second):  # type: ignore[no-untyped-def]
    """A number of 53 bits of two numbers of a block."""
    return np.float64((_tempered(first) >> 5 << 26) + (_tempered(second) >> 6)) * 2.0**-53


@exactly
def unit(s):  # type: ignore[no-untyped-def]
    """Uniform on [0, 1), of 53 bits."""
    position = s[POSITION]
    if 0 <= position < BLOCK - 1:  # two numbers are left: the short way
        s[POSITION] = position + 2
        return _joined(s[WORDS + position], s[WORDS + position + 1])
    high = word(s) >> 5
    return np.float64((high << 26) + (word(s) >> 6)) * 2.0**-53


@exactly
def units(s, x):  # type: ignore[no-untyped-def]
    """Uniform numbers: as many at once as are left in the block."""
    i = 0
    while i < x.shape[0]:
        position = s[POSITION]
        count = min((BLOCK - position) // 2, x.shape[0] - i) if position > 0 else 0
        first = WORDS + position
        for k in range(count):
            x[i + k] = _joined(s[first + 2 * k], s[first + 2 * k + 1])
        s[POSITION] += 2 * count
        i += count
        if i < x.shape[0]:
            x[i] = unit(s)
            i += 1


@exactly
def _pair(s):  # type: ignore[no-untyped-def]
    """Two numbers N(0, 1), of a point in the unit circle."""
    square, x, y = 0.0, 0.0, 0.0
    while square >= 1.0 or square == 0.0:
        position = s[POSITION]
        if 0 <= position < BLOCK - 3:  # four numbers are left: the short way
            s[POSITION] = position + 4
            u = _joined(s[WORDS + position], s[WORDS + position + 1])
            v = _joined(s[WORDS + position + 2], s[WORDS + position + 3])
        else:
            u = unit(s)
            v = unit(s)
        x, y = 2.0 * u - 1.0, 2.0 * v - 1.0
        square = x * x + y * y
    factor = np.sqrt(-2.0 * np.log(square) / square)
    return factor * y, factor * x


@exactly
def normals(s, x):  # type: ignore[no-untyped-def]
    """Numbers N(0, 1), two at a time; of the last two one may be kept."""
    kept, size, i = s[NORMAL : NORMAL + 1].view(np.float64), x.shape[0], 0
    if s[CACHED] and size > 0:
        x[0] = kept[0]
        s[CACHED], i = 0, 1
    while i + 1 < size:
        x[i], x[i + 1] = _pair(s)
        i += 2
    if i < size:
        x[i], kept[0] = _pair(s)
        s[CACHED] = 1


@exactly
def normal(s):  # type: ignore[no-untyped-def]
    """A number N(0, 1)."""
    x = np.empty(1)
    normals(s, x)
    return x[0]


@exactly
def exponential(s):  # type: ignore[no-untyped-def]
    """With mean 1."""
    return -np.log(1.0 - unit(s))


@exactly
def whole(s, span):  # type: ignore[no-untyped-def]
    """A whole number from 0 to `span`, below 2^63: of so many bits as it has, and again where it is more."""
    if span == 0:
        return np.int64(0)
    mask = span
    for shift in (1, 2, 4, 8, 16, 32):
        mask |= mask >> shift
    while True:
        value = np.int64(word(s))
        if span > ALL:
            value = value << 32 | np.int64(word(s))
        value &= mask
        if value <= span:
            return value


@exactly
def gamma(s, shape):  # type: ignore[no-untyped-def]
    """With this shape, above 0, and scale 1."""
    if shape == 1.0:
        return exponential(s)
    if shape < 1.0:
        return _small_gamma(s, shape)
    b = shape - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * b)
    while True:
        x = normal(s)
        v = 1.0 + c * x
        while v <= 0.0:
            x = normal(s)
            v = 1.0 + c * x
        v = v * v * v
        u = unit(s)
        if u < 1.0 - 0.0331 * (x * x) * (x * x):
            return b * v
        if np.log(u) < 0.5 * x * x + b * (1.0 - v + np.log(v)):
            return b * v


@exactly
def _small_gamma(s, shape):  # type: ignore[no-untyped-def]
    """By the rejection of Ahrens and Dieter (1974), for shapes below 1."""
    while True:
        u = unit(s)
        v = exponential(s)
        if u <= 1.0 - shape:
            x = u ** (1.0 / shape)
            if x <= v:
                return x
        else:
            y = -np.log((1.0 - u) / shape)
            x = (1.0 - shape + shape * y) ** (1.0 / shape)
            if x <= v + y:
                return x


@exactly
def beta(s, a, b):  # type: ignore[no-untyped-def]
    """Of two gamma numbers, or where a and b are at most 1 of powers of uniform ones."""
    if a > 1.0 or b > 1.0:
        first = gamma(s, a)
        second = gamma(s, b)
        return first / (first + second)
    while True:
        u = unit(s)
        v = unit(s)
        x, y = u ** (1.0 / a), v ** (1.0 / b)
        if x + y <= 1.0:
            if x + y > 0.0:
                return x / (x + y)
            p, q = np.log(u) / a, np.log(v) / b
            most = max(p, q)
            p, q = p - most, q - most
            return np.exp(p - np.log(np.exp(p) + np.exp(q)))


@exactly
def poisson(s, mean):  # type: ignore[no-untyped-def]
    """A Poisson number: none for a mean of 0, NaN for NaN; by products below 10, by rejection from there."""
    if not mean > 0.0:
        return mean
    if mean >= 10.0:
        return _large_poisson(s, mean)
    least, product, count = np.exp(-mean), unit(s), 0.0
    while product > least:
        count += 1.0
        product *= unit(s)
    return count


@exactly
def _large_poisson(s, mean):  # type: ignore[no-untyped-def]
    """Hoermann's transformed rejection with squeeze."""
    logarithm = np.log(mean)
    b = 0.931 + 2.53 * np.sqrt(mean)
    a = -0.059 + 0.02483 * b
    inverse = 1.1239 + 1.1328 / (b - 3.4)
    squeeze = 0.9277 - 3.6224 / (b - 2.0)
    while True:
        u = unit(s) - 0.5
        v = unit(s)
        edge = 0.5 - abs(u)
        k = np.floor((2.0 * a / edge + b) * u + mean + 0.43)
        if edge >= 0.07 and v <= squeeze:
            return k
        if k < 0.0 or (edge < 0.013 and v > edge):
            continue
        bound = np.log(v) + np.log(inverse) - np.log(a / (edge * edge) + b)
        if bound <= -mean + k * logarithm - _log_gamma(k + 1.0):
            return k


_STIRLING = (
    8.333333333333333e-02, -2.777777777777778e-03, 7.936507936507937e-04, -5.952380952380952e-04,
    8.417508417508418e-04, -1.917526917526918e-03, 6.410256410256410e-03, -2.955065359477124e-02,
    1.796443723688307e-01, -1.39243221690590e00,
)  # fmt: skip
_LOG_2_PI = 1.8378770664093453


@exactly
def _log_gamma(x):  # type: ignore[no-untyped-def]
    """log Gamma(x) of a whole number from 1 on, by Stirling's series at 7 or more (Zhang and Jin 1996)."""
    if x <= 2.0:
        return 0.0
    up = np.floor(7.0 - x) if x < 7.0 else 0.0
    z = x + up
    square = (1.0 / z) * (1.0 / z)
    series = _STIRLING[9]
    for k in range(8, -1, -1):
        series = series * square + _STIRLING[k]
    value = series / z + 0.5 * _LOG_2_PI + (z - 0.5) * np.log(z) - z
    while up > 0.0:
        value -= np.log(z - 1.0)
        z -= 1.0
        up -= 1.0
    return value
