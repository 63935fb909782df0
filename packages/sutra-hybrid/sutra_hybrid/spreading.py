"""Spreading activation: from the concepts that a search found along the graph of similar concepts."""

from collections.abc import Mapping

from sutra_hybrid.libraries import load

# What share of its activation a concept hands on; the rest stays with the seeds. Half of it is left
# after one step, a quarter after two: near neighbours count, and nothing is lost in the distance.
HANDED_ON = 0.5
# 0.5 ^ 40 is below what a float of this sum can show.
STEPS = 40


def spread(seeds: Mapping[str, float], edges: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """The activation of every concept that can be reached, highest first; all of it together is 1.

    A personalised PageRank: `seeds` weigh where activation enters, `edges` (in both directions, the
    stronger counts) how it divides on its way. Blocks.
    """
    numpy, sparse = load("numpy"), load("scipy.sparse")
    names = sorted({*seeds, *(name for edge in edges for name in edge)})
    place = {name: index for index, name in enumerate(names)}
    enters = numpy.zeros(len(names))
    for name, weight in seeds.items():
        enters[place[name]] = weight
    enters /= enters.sum()

    rows = [place[start] for start, _ in edges]
    columns = [place[end] for _, end in edges]
    one_way = sparse.coo_array(
        (list(edges.values()), (rows, columns)), shape=(len(names), len(names)), dtype=float
    ).tocsr()
    graph = one_way.maximum(one_way.T).tocsr()
    leaving = graph.sum(axis=1)
    # What has no neighbour gives its activation back to the seeds.
    alone = leaving == 0
    shares = graph.multiply((1 / numpy.where(alone, 1, leaving))[:, None]).T.tocsr()

    activation = enters
    for _ in range(STEPS):
        handed = shares @ activation + enters * activation[alone].sum()
        activation = HANDED_ON * handed + (1 - HANDED_ON) * enters
    order = sorted(range(len(names)), key=lambda index: (-activation[index], names[index]))
    return {names[index]: float(activation[index]) for index in order if activation[index] > 0}
