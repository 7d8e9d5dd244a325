"""Text as arrays: vocabularies, tokens, padding, windows."""

import numpy as np
import pytest

from jopt.experiments import text


def test_special_symbols_come_first():
    vocabulary = text.Vocabulary.of(["b", "a", "b"])
    assert vocabulary.symbols == ("<pad>", "<bos>", "<eos>", "<unk>", "b", "a")
    assert (text.PAD, text.BOS, text.EOS, text.UNK) == (0, 1, 2, 3)


def test_ties_are_settled_by_the_alphabet():
    rows = [["z", "a", "m"], ["m"]]
    assert text.Vocabulary.of(rows).symbols[4:] == ("m", "a", "z")


def test_rare_symbols_are_unknown():
    vocabulary = text.Vocabulary.of([["the", "the", "cat"]], min_count=2)
    assert vocabulary.encode(["the", "cat"]) == [4, text.UNK]


def test_most_counts_the_special_symbols():
    assert len(text.Vocabulary.of(["abcdef"], most=6)) == 6


def test_special_names_in_a_text_are_no_special_symbols():
    vocabulary = text.Vocabulary.of([["<eos>", "a"]])
    assert vocabulary.encode(["<eos>", "<pad>", "a"]) == [text.UNK, text.UNK, 4]


def test_decode_ends_at_the_end_symbol():
    vocabulary = text.Vocabulary.of(["ab"])
    assert vocabulary.decode([1, 4, 0, 5, 2, 4]) == ["a", "b"]


@pytest.mark.parametrize(
    "sentence",
    [
        "Ein Mann schläft in einem grünen Raum auf einem Sofa.",
        "a woman's t-shirt, and 6.5 apples!",
        'he calls it "a dog" (and laughs).',
        "",
    ],
)
def test_joined_tokens_are_the_sentence(sentence):
    assert text.joined(text.tokens(sentence)) == sentence


def test_too_long_a_row_names_itself():
    with pytest.raises(ValueError, match="at least 3, the length of row 1, got 2"):
        text.padded([[5], [5, 6, 7]], 2)


def test_rows_are_cut_when_asked():
    assert text.padded([[5, 6, 7]], 2, cut=True).tolist() == [[5, 6]]


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_share_is_checked(share):
    with pytest.raises(ValueError, match=r"`share` must lie in \(0, 1\]"):
        text.common_length([[1]], share)


def test_common_length_of_nothing():
    with pytest.raises(ValueError, match="at least one sequence"):
        text.common_length([])


def test_windows_take_no_memory():
    numbers = np.arange(100_000, dtype=np.uint8)
    found = text.windows(numbers, 65)
    assert found.shape == (99_936, 65)
    assert np.shares_memory(found, numbers)


def test_windows_longer_than_the_text():
    with pytest.raises(ValueError, match="at most that of the text, 3, got 4"):
        text.windows(np.arange(3), 4)
