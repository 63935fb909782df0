"""Spreading activation from search results along the graph of similar concepts."""

from collections.abc import Mapping

from sutra_hybrid.libraries import load

# The share of activation that is passed on at each step (PageRank's damping factor): half remains after one
# step, a quarter after two, so near neighbours count most.
PASSED_ON = 0.5
# 0.5 ** 40 is negligible.
STEPS = 40


def spread(seeds: Mapping[str, float], edges: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """The activation of every reachable concept, highest first; the sum is 1.

    A personalised PageRank: `seeds` are the restart weights; `edges` are undirected, and the larger weight of
    the two directions counts. Blocks.
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
    # Concepts without neighbours return their activation to the seeds.
    alone = leaving == 0
    shares = graph.multiply((1 / numpy.where(alone, 1, leaving))[:, None]).T.tocsr()

    activation = enters
    for _ in range(STEPS):
        handed = shares @ activation + enters * activation[alone].sum()
        activation = PASSED_ON * handed + (1 - PASSED_ON) * enters
    order = sorted(range(len(names)), key=lambda index: (-activation[index], names[index]))
    return {names[index]: float(activation[index]) for index in order if activation[index] > 0}
