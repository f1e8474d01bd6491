"""Libraries that damage text: each as a function from texts to texts, set to about the error rate of our pairs.

None of them has spans, duplications, reversals, noise levels, an event log, or a result that does not depend on the
order of the calls. They run as their manuals show, with a seed; of nlpaug four augmenters take turns.
"""

import random
from collections.abc import Callable

import numpy as np

ERROR_RATE = 0.05
Augment = Callable[[list[str]], list[str]]


def textnoisr(seed: int) -> Augment:
    """Insertions, swaps, substitutions and deletions of characters, at a calibrated error rate."""
    from textnoisr.noise import CharNoiseAugmenter

    augmenter = CharNoiseAugmenter(noise_level=ERROR_RATE, seed=seed)
    return lambda texts: [augmenter.add_noise(text) for text in texts]


def nlpaug(seed: int) -> Augment:
    """Change one or more characters of some words, by one of four actions a text; white space is made anew."""
    from nlpaug.augmenter.char import RandomCharAug

    random.seed(seed)
    np.random.seed(seed)
    limits = {"aug_char_p": 0.1, "aug_word_p": 0.15, "aug_char_max": None, "aug_word_max": None}
    augmenters = [RandomCharAug(action=action, **limits) for action in ("insert", "substitute", "swap", "delete")]

    def augment(texts: list[str]) -> list[str]:
        results = texts.copy()
        for i, augmenter in enumerate(augmenters):
            results[i :: len(augmenters)] = augmenter.augment(texts[i :: len(augmenters)])
        return results

    return augment


def augmentex(seed: int) -> Augment:
    """Change characters by one of seven actions a text, typing errors of a keyboard among them."""
    from augmentex import CharAug

    augmenter = CharAug(unit_prob=ERROR_RATE, min_aug=0, max_aug=10**6, lang="eng", platform="pc", random_seed=seed + 1)
    return lambda texts: [augmenter.augment(text) for text in texts]
