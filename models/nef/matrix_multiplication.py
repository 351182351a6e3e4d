"""The product of two matrices, A (D1 x D2) and B (D2 x D3): an ensemble for every scalar product."""

from spikec import nef

D1, D2, D3 = 1, 2, 2


def product(x):
    return x[0] * x[1]


def network(partitions: int = 1, a=(0.5, -0.5), b=(0.7, -0.2, 0.3, 0.9)) -> nef.Network:
    net = nef.Network("matrix_multiplication", partitions=partitions)
    net.make_array("A", 50, D1 * D2)
    net.make_array("B", 50, D2 * D3)
    net.make_input("input A", a)
    net.make_input("input B", b)
    net.connect("input A", "A")
    net.connect("input B", "B")

    # Ensemble (i, k, j) of C multiplies the elements (i, j) of A and (j, k) of B.
    net.make_array(
        "C", 200, D1 * D2 * D3, dimensions=2, radius=1.5, encoders=[[1, 1], [1, -1], [-1, 1], [-1, -1]]
    )
    places = [(i, j, k) for i in range(D1) for k in range(D3) for j in range(D2)]
    net.connect(
        "A", "C", index_pre=[j + i * D2 for i, j, k in places], index_post=range(0, 2 * len(places), 2)
    )
    net.connect(
        "B", "C", index_pre=[k + j * D3 for i, j, k in places], index_post=range(1, 2 * len(places), 2)
    )

    net.make_array("D", 50, D1 * D3)
    net.connect("C", "D", index_post=[n // D2 for n in range(len(places))], func=product)
    net.make_probe("D", "D")
    return net


if __name__ == "__main__":
    net = network()
    net.run(1.0)
    print(net.probes["D"].get_data()[-1].round(2))
