"""Binding: the circular convolution of two vectors, each represented by one population."""

import numpy as np
from spikec import nef

D = 8
A = [0.4, -0.3, 0.1, 0.5, -0.2, 0.3, -0.4, 0.2]
B = [-0.1, 0.5, 0.3, -0.4, 0.2, 0.1, 0.3, -0.3]


def network(partitions: int = 1) -> nef.Network:
    net = nef.Network("convolution", partitions=partitions)
    net.make_input("a", A)
    net.make_input("b", B)
    for name in ("A", "B", "C"):
        net.make(name, 300, D)
    net.connect("a", "A")
    net.connect("b", "B")
    nef.convolution.make_convolution(net, "*", "A", "B", "C", 100, radius=1.5)
    net.make_probe("C", "C")
    return net


if __name__ == "__main__":
    net = network()
    net.run(1.0)
    print(net.probes["C"].get_data()[-1].round(2))
    print(np.fft.ifft(np.fft.fft(A) * np.fft.fft(B)).real.round(2))
