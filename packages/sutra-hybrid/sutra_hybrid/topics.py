"""Topics: which subjects a set of texts speaks of."""

from collections.abc import Sequence
from typing import Any, NamedTuple

# Fewer texts than this are one topic.
LEAST_TEXTS = 4
MOST_TOPICS = 8
TERMS = 5
# Beyond its first two thousand characters a text adds time, and hardly ever another subject.
READ_CHARACTERS = 2_000
# Words begin with a letter: numbers are in every topic.
WORD = r"\b[^\W\d]\w+\b"


class Cluster(NamedTuple):
    """Words that mark a topic off from the others, strongest first, and the places of its texts."""

    terms: list[str]
    members: list[int]


def find_topics(texts: Sequence[str], count: int | None = None) -> list[Cluster]:
    """Clusters of `texts`, the largest first: k-means over TF-IDF.

    Without `count`, the number from 2 to 8 whose clusters are best separated (highest silhouette). Equal
    texts give equal topics: the seed is fixed. Blocks.
    """
    import numpy  # noqa: PLC0415 - simple has neither, and the start of the others does not wait for them

    matrix, words = _weights([text[:READ_CHARACTERS] for text in texts])
    if matrix is None:
        return [Cluster([], list(range(len(texts))))]
    distinct = len(numpy.unique(matrix.toarray(), axis=0))
    labels = _labels(matrix, distinct, count)
    clusters = []
    for label in numpy.unique(labels):
        members, others = numpy.flatnonzero(labels == label), numpy.flatnonzero(labels != label)
        # Words that the others have as well, such as a language's articles, cancel out.
        strength = _mean(matrix[members]) - (_mean(matrix[others]) if len(others) else 0)
        best = [index for index in strength.argsort(kind="stable")[::-1][:TERMS] if strength[index] > 0]
        clusters.append(Cluster([str(words[index]) for index in best], members.tolist()))
    return sorted(clusters, key=lambda cluster: (-len(cluster.members), cluster.members))


def _mean(rows: Any) -> Any:
    import numpy  # noqa: PLC0415

    return numpy.asarray(rows.mean(axis=0)).ravel()


def _weights(texts: Sequence[str]) -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415

    for stop_words in ("english", None):
        vectorizer = TfidfVectorizer(
            sublinear_tf=True, strip_accents="unicode", token_pattern=WORD, stop_words=stop_words
        )
        try:
            return vectorizer.fit_transform(texts), vectorizer.get_feature_names_out()
        except ValueError:
            # No word is left: all are stop words, or there are none (signs and numbers only).
            continue
    return None, None


def _labels(matrix: Any, distinct: int, count: int | None) -> Any:
    import numpy  # noqa: PLC0415
    from sklearn.cluster import KMeans  # noqa: PLC0415
    from sklearn.metrics import silhouette_score  # noqa: PLC0415

    def cluster(number: int) -> Any:
        return KMeans(number, n_init=4, random_state=0).fit_predict(matrix)

    rows = matrix.shape[0]
    if count is not None:
        return cluster(min(count, distinct))
    most = min(MOST_TOPICS, distinct, rows - 1)
    if rows < LEAST_TEXTS or most < 2:  # noqa: PLR2004 - one topic needs no clustering
        return numpy.zeros(rows, dtype=int)
    attempts = [cluster(number) for number in range(2, most + 1)]
    # k-means may leave a cluster empty; fewer than two cannot be compared.
    proper = [labels for labels in attempts if len(numpy.unique(labels)) > 1]
    if not proper:
        return attempts[0]
    return max(proper, key=lambda labels: silhouette_score(matrix, labels, metric="cosine"))
