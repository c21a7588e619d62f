"""headlight answer with models that mark the answer in a text, beside transformers."""

import json

import pytest

WORDS = ("the a cat dog sat ran on mat hill house near who what where did was in old red big small "
         "river forest bread ate saw ? . , ü").split()


@pytest.fixture(scope="module", params=["bert", "roberta"])
def reader(request, tmp_path_factory):
    """A random model that marks spans, with its tokenizer: (folder, transformers model, tokenizer)."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp(request.param)
    sizes = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    torch.manual_seed(3)
    if request.param == "bert":
        vocabulary = {t: i for i, t in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, "##s"])}
        inner = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
        inner.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
        inner.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        model = transformers.BertForQuestionAnswering(transformers.BertConfig(
            vocab_size=len(vocabulary), max_position_embeddings=40, **sizes))
        names = dict(unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]")
    else:
        inner = tokenizers.Tokenizer(tokenizers.models.BPE())
        inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = tokenizers.trainers.BpeTrainer(
            special_tokens=["<s>", "<pad>", "</s>", "<unk>"], vocab_size=320,
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
        inner.train_from_iterator([" ".join(WORDS)] * 3, trainer)
        inner.post_processor = tokenizers.processors.RobertaProcessing(
            ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
        model = transformers.RobertaForQuestionAnswering(transformers.RobertaConfig(
            vocab_size=inner.get_vocab_size(), max_position_embeddings=42, pad_token_id=1,
            type_vocab_size=1, **sizes))
        names = dict(unk_token="<unk>", pad_token="<pad>", cls_token="<s>", sep_token="</s>")
    for parameter in model.parameters():  # far from even, so that one span is the best
        parameter.data.mul_(3)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, **names)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder, model.eval(), tokenizer


def spans(reader, question, context, longest=30):
    """Every span's score and text, best first, and the lowest score of the first token."""
    import torch
    _, model, tokenizer = reader
    size = 40
    room = size - len(tokenizer(question, add_special_tokens=False)["input_ids"])
    room -= tokenizer.num_special_tokens_to_add(pair=True)
    windows = tokenizer(question, context, truncation="only_second", max_length=size,
                        stride=min(128, room // 2), return_overflowing_tokens=True,
                        return_offsets_mapping=True, return_token_type_ids=True)
    found, none = [], float("inf")
    for i, ids in enumerate(windows["input_ids"]):
        more = ({"token_type_ids": torch.tensor([windows["token_type_ids"][i]])}
                if model.config.type_vocab_size > 1 else {})
        with torch.no_grad():
            out = model(input_ids=torch.tensor([ids]), **more)
        begins, ends = out.start_logits[0].tolist(), out.end_logits[0].tolist()
        none = min(none, begins[0] + ends[0])
        places = [k for k, which in enumerate(windows.sequence_ids(i)) if which == 1]
        for a in places:
            for b in places:
                if a <= b < a + longest:
                    text = context[windows["offset_mapping"][i][a][0]:windows["offset_mapping"][i][b][1]]
                    found.append((begins[a] + ends[b], text.strip()))
    return sorted(found, reverse=True), none


LONG = " ".join(f"the {a} cat sat on a {b} hill near the ü river ." for a in ("old", "red", "big")
                for b in ("small", "big"))
QUESTIONS = [("who sat on the mat ?", "the old cat sat on the mat , the dog ran ."),
             ("where was the cat ?", LONG), ("what ?", "a dogs ü")]


def test_answers_are_the_best_spans_of_transformers_logits(headlight, reader, tmp_path):
    (tmp_path / "q.tsv").write_text("".join(f"{q}\t{c}\n" for q, c in QUESTIONS[:2]) + "\n" +
                                    f"{QUESTIONS[2][0]}\t{QUESTIONS[2][1]}\n")
    said = headlight("answer", reader[0], "q.tsv", "--nbest", "3", "--batch", "2", "--json").json()
    assert said["lines"][2] == []
    for (question, context), answers in zip(QUESTIONS, said["lines"][:2] + said["lines"][3:]):
        best, _ = spans(reader, question, context)
        different = list(dict.fromkeys(text for _, text in best if text))[:3]
        assert [a["text"] for a in answers] == different
        for answer in answers:
            right = next(score for score, text in best if text == answer["text"])
            assert answer["score"] == pytest.approx(right, rel=1e-4, abs=1e-4)
    lines = headlight("answer", reader[0], "q.tsv").out.split("\n")
    assert lines == [said["lines"][i][0]["text"] if said["lines"][i] else "" for i in range(4)] + [""]


def test_the_json_of_squad_and_questions_without_an_answer(headlight, reader, tmp_path):
    (tmp_path / "squad.json").write_text(json.dumps({"version": "2.0", "data": [{"paragraphs": [
        {"context": c, "qas": [{"id": "1", "question": q, "answers": []}]} for q, c in QUESTIONS]}]}))
    marked = headlight("answer", reader[0], "squad.json").out.splitlines()
    silent = headlight("answer", reader[0], "squad.json", "--unanswerable").out.split("\n")[:-1]
    for (question, context), answer, may_be_empty in zip(QUESTIONS, marked, silent):
        best, none = spans(reader, question, context)
        assert answer == best[0][1]
        assert may_be_empty == ("" if none > best[0][0] else answer)


@pytest.mark.parametrize("arguments, said", [
    (["--beam", "2"], "marks answers"), (["--temperature", "1"], "marks answers"),
    (["--attention", "a.html"], "marks answers")])
def test_what_belongs_to_models_that_write_is_refused(headlight, reader, tmp_path, arguments, said):
    (tmp_path / "q.tsv").write_text("who ?\tthe cat .\n")
    assert said in headlight("answer", reader[0], "q.tsv", *arguments, code=2).err


def test_a_question_that_leaves_no_room_is_named(headlight, reader, tmp_path):
    (tmp_path / "q.tsv").write_text("who ?\tthe cat .\n" + "the cat " * 40 + "?\tthe dog\n")
    err = headlight("answer", reader[0], "q.tsv", code=3).err
    assert "q.tsv: question 2" in err and "no room" in err
