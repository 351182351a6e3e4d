"""Action selection: of five actions the basal ganglia inhibit all but the most salient one."""

from spikec import nef

D = 5


def network(partitions: int = 1) -> nef.Network:
    net = nef.Network("basal_ganglia", partitions=partitions)
    net.make_input("salience", {0: [0.8, 0.4, 0.5, 0.3, 0.2], 0.3: [0.4, 0.3, 0.2, 0.9, 0.5]})
    nef.templates.basalganglia.make(net, "BG", dimensions=D, neurons=50)
    nef.templates.thalamus.make(net, "Thalamus", neurons=50, dimensions=D)
    net.connect("salience", "BG.input")
    net.connect("BG.output", "Thalamus.input")
    net.make_probe("BG.output", "BG")
    net.make_probe("Thalamus.output", "choice")
    return net


if __name__ == "__main__":
    net = network()
    net.run(0.6)
    print(net.probes["choice"].get_data()[29::30].round(2))
