#include <gmock/gmock.h>

#include "headlight/error.h"
#include "score/answer.h"
#include "score/bleu.h"
#include "score/chrf.h"
#include "score/evaluation.h"
#include "score/rouge.h"
#include "score/words.h"
#include "text/letter_case.h"

namespace headlight::score {
namespace {

TEST(Words, WhiteSpaceIsThatOfPython) {
  EXPECT_THAT(words_of(" a\u00A0b\x1C"
                       "c\u3000\u2028d\u200Be "),
              testing::ElementsAre("a", "b", "c", "d\u200Be"));
  EXPECT_THAT(words_of(" \t"), testing::IsEmpty());
}

TEST(Words, LowerCaseFollowsTheWholeOfUnicode) {
  EXPECT_EQ(text::lower_case_text("ΌΔΟΣ İK ẞ"), "όδος i̇k ß");
}

TEST(Words, OverlapCountsARunAsOftenAsBothHaveIt) {
  const std::vector<uint32_t> a = {1, 1, 1, 2}, b = {1, 1, 2, 2};
  const Overlap one = overlap(a, b, 1), two = overlap(a, b, 2), five = overlap(a, b, 5);
  EXPECT_EQ(one.both, 3);
  EXPECT_EQ(two.first, 3);
  EXPECT_EQ(two.both, 2);  // (1, 1) once, (1, 2) once
  EXPECT_EQ(five.first + five.second + five.both, 0);
}

TEST(Bleu, TokensAreThoseOfMteval) {
  EXPECT_EQ(tokenized_13a("Hello, \"world\" (it's 3.5-4,000 e.g. x-y)..."),
            "Hello , \" world \" ( it's 3.5 - 4,000 e . g . x-y ) . . .");
  EXPECT_EQ(tokenized_13a("&amp;lt; &quot;ü.ß,1 <skipped>5-"), "< \" ü . ß , 1 5 -");
  EXPECT_EQ(tokenized_13a("  "), "");
}

TEST(Bleu, IsTheGeometricMeanOfPrecisionsTimesThePenalty) {
  // 5 of 6 words, 3 of 5 pairs, 1 of 4 triples, 0 of 3 fours (smoothed to 1 of 6); 6 to 7 words.
  const BleuCounts counts = bleu_counts("the cat sat on a mat", "the cat was on the mat today");
  EXPECT_EQ(counts.reference_words, 7);
  const Bleu found = bleu({6, 7, {5, 3, 1, 0}, {6, 5, 4, 3}});
  EXPECT_NEAR(found.score,
              100 * std::exp(1 - 7.0 / 6) * std::pow(5.0 / 6 * 3 / 5 * 1 / 4 * 1 / 6, 0.25), 1e-9);
  EXPECT_EQ(bleu(bleu_counts("a b c", "a b c")).score, 0);  // no runs of four
  EXPECT_EQ(bleu(bleu_counts("", "a b c d")).score, 0);
  EXPECT_NEAR(bleu(bleu_counts("a b c d", "a b c d")).score, 100, 1e-9);
}

TEST(Chrf, RecallWeighsFourTimesPrecision) {
  // Single characters: 2 of 2 right, of 4; pairs: 1 of 1, of 3. Longer runs: the line has none.
  const double precision = 1, recall = (2.0 / 4 + 1.0 / 3) / 2;
  EXPECT_NEAR(chrf(chrf_counts("a b", "abcd")), 100 * 5 * precision * recall / (4 + recall), 1e-9);
  EXPECT_EQ(chrf(chrf_counts("", "")), 0);
}

TEST(Rouge, WordsPairsAndTheLongestSubsequence) {
  const Rouge found = rouge("The big-cat sat", "the cat, it sat!");
  EXPECT_NEAR(found.one, 2 * 0.75 * 0.75 / 1.5, 1e-12);
  EXPECT_NEAR(found.two, 0, 1e-12);
  EXPECT_NEAR(found.longest, 0.75, 1e-12);
  EXPECT_EQ(rouge("", "").one, 0);
}

TEST(Answer, ArticlesPunctuationAndCaseDoNotCount) {
  EXPECT_EQ(normalised_answer(" The  Cat's  (an) \"Apple\" "), "cats apple");
  EXPECT_EQ(normalised_answer("theatre athe thé a\u2013b"), "theatre athe thé \u2013b");
  EXPECT_TRUE(compare_answers("The cat!", "cat").exact);
  EXPECT_NEAR(compare_answers("red cat", "the black cat").f1, 0.5, 1e-12);
  EXPECT_EQ(compare_answers("the", "a").f1, 1);
  EXPECT_EQ(compare_answers("", "cat").f1, 0);
}

TEST(Evaluation, IntervalsHoldTheScoreAndAreTheSameForTheSameSeed) {
  std::vector<std::string> ours, theirs;
  for (int i = 0; i < 40; ++i) {
    theirs.push_back("one two three four five " + std::to_string(i));
    ours.push_back(i % 3 ? theirs.back() : "one two four five six seven");
  }
  const std::vector<Score> first = evaluate(ours, theirs, 200, 3);
  const std::vector<Score> second = evaluate(ours, theirs, 200, 3);
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_LT(first[i].interval.low, first[i].value) << first[i].name;
    EXPECT_GT(first[i].interval.high, first[i].value) << first[i].name;
    EXPECT_EQ(first[i].interval.low, second[i].interval.low);
  }
  EXPECT_EQ(first[0].value, corpus_bleu(ours, theirs));
}

TEST(Evaluation, LinesThatAreNotParallelAreRefused) {
  EXPECT_THROW(evaluate({"a"}, {"a", "b"}), Error);
  EXPECT_THROW(evaluate({}, {}), Error);
}

}  // namespace
}  // namespace headlight::score
