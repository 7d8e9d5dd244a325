"""Text as arrays: vocabularies, a tokenizer, padding to one shape, windows.

Shapes are fixed when a task is loaded, so a model is compiled once. Shorter sequences
are filled up with `PAD`, which no model looks at and no score counts.
"""

import collections
import dataclasses
import functools as ft
import re
from collections.abc import Iterable, Sequence, Sized

import numpy as np

SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
PAD, BOS, EOS, UNK = range(len(SPECIAL))

WORD = re.compile(r"\w+(?:[-'’.]\w+)*|[^\w\s]")


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Symbols and their numbers; the first four are `<pad>`, `<bos>`, `<eos>`, `<unk>`.

    Attributes:
        symbols: All symbols, in the order of their numbers.

    Example:
        >>> letters = Vocabulary.of(["abba", "cab"])
        >>> letters.encode("cabz")
        [6, 4, 5, 3]
        >>> letters.decode([1, 6, 4, 5, 2, 0])
        ['c', 'a', 'b']
    """

    symbols: tuple[str, ...]

    @classmethod
    def of(
        cls, texts: Iterable[Iterable[str]], min_count: int = 1, most: int | None = None
    ) -> "Vocabulary":
        """The symbols of texts, the most frequent first, ties by the alphabet.

        Args:
            texts: Texts of training, each a sequence of symbols; a string is one of
                characters.
            min_count: How often a symbol occurs at least.
            most: How many symbols there are at most, the four special ones included.
        """
        counts = collections.Counter(symbol for text in texts for symbol in text)
        for symbol in SPECIAL:  # in a text they are no more than what they look like
            counts.pop(symbol, None)
        ranked = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))
        kept = [symbol for symbol in ranked if counts[symbol] >= min_count]
        return cls((*SPECIAL, *kept)[:most])

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, text: Iterable[str]) -> list[int]:
        """The numbers of symbols; of one that is not known, that of `<unk>`."""
        return [self._numbers.get(symbol, UNK) for symbol in text]

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """The symbols of numbers up to `<eos>`, without `<pad>` and `<bos>`."""
        found = []
        for number in numbers:
            if number == EOS:
                break
            if number not in (PAD, BOS):
                found.append(self.symbols[number])
        return found

    @ft.cached_property
    def _numbers(self) -> dict[str, int]:
        known = enumerate(self.symbols[len(SPECIAL) :], len(SPECIAL))
        return {symbol: number for number, symbol in known}


def tokens(text: str) -> list[str]:
    """Words, with their inner hyphens, apostrophes and dots, and single signs.

    Args:
        text: A sentence.

    Returns:
        Its tokens; the same for the same text on every machine.

    Example:
        >>> tokens("A woman's T-shirt, size 6.5 (new).")
        ['A', "woman's", 'T-shirt', ',', 'size', '6.5', '(', 'new', ')', '.']
    """
    return WORD.findall(text)


def joined(words: Iterable[str]) -> str:
    """Tokens as a text, with the spaces that a writer would set.

    Args:
        words: What `tokens` makes of a sentence.

    Returns:
        The sentence.

    Example:
        >>> joined(tokens('He said "no, thanks!" (twice).'))
        'He said "no, thanks!" (twice).'
    """
    text = " ".join(words)
    text = re.sub(r'" (.*?) "', r'"\1"', text)
    text = re.sub(r" ([.,;:!?%)\]}])", r"\1", text)
    return re.sub(r"([(\[{]) ", r"\1", text)


def padded(rows: Sequence[Sequence[int]], length: int, cut: bool = False) -> np.ndarray:
    """Sequences as one array, filled up with `PAD`.

    Args:
        rows: Sequences of numbers.
        length: The length of every row of the array.
        cut: Whether what is longer is cut off.

    Returns:
        An int32 array of shape `[len(rows), length]`.

    Raises:
        ValueError: If a sequence is longer and is not to be cut.

    Example:
        >>> padded([[5, 6], [7]], 3)
        array([[5, 6, 0],
               [7, 0, 0]], dtype=int32)
    """
    array = np.full((len(rows), length), PAD, np.int32)
    for i, row in enumerate(rows):
        if len(row) > length and not cut:
            raise ValueError(
                f"`length` must be at least {len(row)}, the length of row {i}, got "
                f"{length}; or set `cut=True`."
            )
        array[i, : min(len(row), length)] = row[:length]
    return array


def common_length(rows: Iterable[Sized], share: float = 1.0) -> int:
    """The least multiple of 8 that is long enough for a share of the sequences.

    Args:
        rows: Sequences.
        share: How many of them must fit, in (0, 1].

    Returns:
        The length.

    Raises:
        ValueError: If there is no sequence, or `share` is out of range.

    Example:
        >>> common_length([[1] * 5, [1] * 9]), common_length([[1] * 5, [1] * 9], 0.5)
        (16, 8)
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"`share` must lie in (0, 1], got {share}.")
    lengths = np.sort([len(row) for row in rows])
    if not lengths.size:
        raise ValueError("`rows` must hold at least one sequence, got none.")
    enough = int(lengths[int(np.ceil(share * lengths.size)) - 1])
    return max(8, -(-enough // 8) * 8)


def pieces(row: Sequence[int], length: int) -> list[Sequence[int]]:
    """A sequence in consecutive pieces of at most `length`; nothing is lost.

    Example:
        >>> pieces([1, 2, 3, 4, 5], 2)
        [[1, 2], [3, 4], [5]]
    """
    return [row[at : at + length] for at in range(0, len(row), length)]


def windows(numbers: np.ndarray, length: int, stride: int = 1) -> np.ndarray:
    """All stretches of a long text, as a view that takes no memory.

    Args:
        numbers: The text, of one axis.
        length: The length of a window.
        stride: By how much a window is ahead of the one before.

    Returns:
        A read-only array of shape `[windows, length]`.

    Raises:
        ValueError: If the text is shorter than a window.

    Example:
        >>> windows(np.arange(5), 3, stride=2)
        array([[0, 1, 2],
               [2, 3, 4]])
    """
    if len(numbers) < length:
        raise ValueError(
            f"`length` must be at most that of the text, {len(numbers)}, got {length}."
        )
    return np.lib.stride_tricks.sliding_window_view(numbers, length)[::stride]
