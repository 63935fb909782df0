"""The replies when the facts contain no answer."""

NO_FACTS = "No facts were given to answer this question."
NO_ANSWER = "The given facts do not answer this question."
