"""A controlled integrator: an ensemble that feeds itself holds its first value while its second one is 1."""

from spikec import nef


def feedback(x):
    return x[0] * x[1]


def network(partitions: int = 1) -> nef.Network:
    net = nef.Network("controlled_integrator", partitions=partitions)
    net.make_input("input", {0.2: 5, 0.3: 0, 0.44: -10, 0.54: 0, 0.8: 5, 0.9: 0})
    net.make_input("control", [1])
    net.make("A", 225, 2, radius=1.5)
    net.connect("input", "A", index_post=0, weight=0.1, pstc=0.1)
    net.connect("control", "A", index_post=1, pstc=0.1)
    net.connect("A", "A", index_post=0, func=feedback, pstc=0.1)
    net.make_probe("A", "A")
    return net


if __name__ == "__main__":
    net = network()
    net.run(1.0)
    print(net.probes["A"].get_data()[::10, 0].round(2))
