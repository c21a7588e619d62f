#include "app/writing.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/inspect.h"
#include "app/interrupt.h"
#include "headlight/error.h"
#include "model/checkpoint.h"
#include "report/progress.h"
#include "task/captions.h"
#include "task/facts.h"
#include "task/image_input.h"
#include "task/questions.h"
#include "task/spans.h"
#include "task/text_model.h"
#include "text/lines.h"

namespace headlight::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Verb {
  const char* name;
  const char* about;
  const char* example;
  // What is read, and what that means for how many ways are followed at once: a language model
  // goes on one way, an answer is short, and a translation or caption is the best of five.
  enum class Reads { lines, beginnings, questions, images } reads;
  int64_t beams() const { return reads == Reads::lines || reads == Reads::images ? 5 : 1; }
};

struct WritingOptions {
  fs::path model;
  fs::path file = "-";
  std::vector<std::string> images;
  task::Writing writing;
  std::optional<int64_t> beams;
  bool scores = false, unanswerable = false;
  fs::path attention;
};

void check(const Verb& verb, WritingOptions& o) {
  const auto refuse = [](const std::string& message) { throw Error(ErrorKind::usage, message); };
  task::Writing& w = o.writing;
  const bool drawn = w.temperature > 0;
  if ((w.top_k > 0 || w.top_p < 1) && !drawn) w.temperature = 1;
  w.beams = o.beams.value_or(w.temperature > 0 ? 1 : verb.beams());
  if (w.temperature > 0 && w.beams > 1)
    refuse(
        "beam search takes the likeliest texts and draws none: leave --beam away, or "
        "--temperature, --top-k and --top-p");
  if (w.beams > 1 && w.nbest > w.beams)
    refuse(fmt::format("--nbest {} needs at least as many beams; there are {}", w.nbest, w.beams));
}

// What a model does with what is asked: writes a text, finds it in what is told, or chooses it.
enum class Finds { writing, marking, choosing };

void check(const WritingOptions& o, Finds finds) {
  const task::Writing& w = o.writing;
  const bool writes = finds == Finds::writing, marks = finds == Finds::marking;
  if (!marks && o.unanswerable)
    throw Error(ErrorKind::usage,
                "--unanswerable is for models that mark answers in the text; this one does not");
  if (writes && w.nbest > 1 && w.beams == 1 && w.temperature == 0)
    throw Error(ErrorKind::usage,
                "there is only one text to find token by token: --nbest needs --beam or "
                "--temperature");
  const bool as_written = w.beams > 1 || w.temperature > 0 || w.most_tokens > 0 ||
                          w.early_stopping || w.length_penalty != 1 || !o.attention.empty();
  if (marks && (as_written || w.cut))
    throw Error(ErrorKind::usage,
                fmt::format("{}: this model marks answers in the text and writes none: --nbest, "
                            "--scores, --batch and --unanswerable go with it, and no other option "
                            "of how to write",
                            o.model.string()));
  if (finds == Finds::choosing && as_written)
    throw Error(ErrorKind::usage,
                fmt::format("{}: this model chooses among answers and writes none: --nbest, "
                            "--scores, --batch and --cut go with it, and no other option of how "
                            "to write; which facts it looks at is shown by headlight inspect",
                            o.model.string()));
}

Json json_of(const std::vector<std::vector<task::Written>>& lines, const WritingOptions& o) {
  Json all = Json::array();
  for (const auto& texts : lines) {
    Json line = Json::array();
    for (const task::Written& written : texts)
      line.push_back({{"text", written.text}, {"score", written.score}});
    if (o.writing.nbest == 1)
      all.push_back(line.empty() ? Json{{"text", ""}, {"score", nullptr}} : line[0]);
    else
      all.push_back(std::move(line));
  }
  return all;
}

// `nbest` lines for every line that was read, so that the place of a line says where it belongs.
void print_lines(const std::vector<std::vector<task::Written>>& lines, const WritingOptions& o) {
  for (const auto& texts : lines)
    for (size_t i = 0; i < static_cast<size_t>(o.writing.nbest); ++i) {
      const bool there = i < texts.size();
      const std::string score =
          o.scores ? (there ? fmt::format("{:.4f}\t", texts[i].score) : "\t") : "";
      fmt::print("{}{}\n", score, there ? texts[i].text : "");
    }
  std::fflush(stdout);
}

// Which words of the first line each word of what was written looked at.
void write_attention(const std::vector<std::string>& lines, const std::string& written,
                     const WritingOptions& o, const Common& common) {
  const auto line = std::find_if_not(lines.begin(), lines.end(),
                                     [](const std::string& text) { return text::is_blank(text); });
  if (line == lines.end())
    throw Error(ErrorKind::bad_input,
                "--attention shows how the first line was written, and there is none");
  write_pair_page(o.model, *line, written, o.attention, common);
}

// What is read, a line each; images as their paths.
std::vector<std::string> lines_for(const Verb& verb, const WritingOptions& o) {
  if (verb.reads != Verb::Reads::images) return text::read_lines(o.file);
  std::vector<std::string> paths;
  for (const fs::path image : o.images) {
    if (image.extension() != ".tsv") {
      paths.push_back(image.string());
      continue;
    }
    for (const fs::path& path : task::pictures_of(image)) paths.push_back(path.string());
  }
  return paths;
}

std::vector<at::Tensor> pictures_at(const std::vector<std::string>& paths, const WritingOptions& o,
                                    const model::Config& config) {
  std::vector<at::Tensor> pictures;
  for (const std::string& path : paths)
    pictures.push_back(task::read_image_input(path, o.model, config)[0]);
  return pictures;
}

void write(const Verb& verb, WritingOptions o, const Common& common) {
  need_cpu(common, verb.name);
  check(verb, o);
  o.writing.seed = common.seed;
  at::set_num_threads(thread_count(common));
  model::Transformer loaded = model::load(o.model);
  const bool images = verb.reads == Verb::Reads::images;
  const bool asked = verb.reads == Verb::Reads::questions;
  const Finds finds = asked && model::marks_spans(loaded.config)  ? Finds::marking
                      : asked && task::reads_facts(loaded.config) ? Finds::choosing
                                                                  : Finds::writing;
  check(o, finds);
  std::optional<task::SpanModel> marker;
  std::optional<task::FactModel> chooser;
  std::optional<task::TextModel> writer;
  if (finds == Finds::marking)
    marker = task::span_model(std::move(loaded), o.model);
  else if (finds == Finds::choosing)
    chooser = task::fact_model(std::move(loaded), o.model);
  else
    writer = task::text_model(std::move(loaded), o.model);
  if (writer && images != (writer->model.config.patch > 0))
    throw Error(ErrorKind::usage,
                fmt::format("{}: this model reads {}", o.model.string(),
                            images ? "text, no images; translate, summarize, answer and generate "
                                     "give it some"
                                   : "images; headlight caption gives it some"));
  std::vector<task::Question> questions;
  if (asked) questions = task::read_questions({o.file});
  const std::vector<std::string> lines =
      asked ? task::as_lines(questions).sources : lines_for(verb, o);
  const std::string name = o.file == "-" ? "standard input" : o.file.string();

  watch_for_interrupt();
  const auto start = std::chrono::steady_clock::now();
  report::ProgressLine progress({.quiet = common.quiet});
  // Lines of one part are sorted by length, which needs many; those who wait want to see some soon.
  const size_t at_once = images ? 256 : 2000;
  Json all = Json::array();
  size_t done = 0;
  std::string first_written;
  while (done < lines.size() && !interrupted()) {
    const size_t end = std::min(lines.size(), done + at_once);
    const auto part_of = [&](const auto& list) {
      return std::vector(list.begin() + static_cast<std::ptrdiff_t>(done),
                         list.begin() + static_cast<std::ptrdiff_t>(end));
    };
    const int64_t first = static_cast<int64_t>(done) + 1;
    const auto hear = [&](int64_t of_part) {
      progress.update({.done = double(done) + double(of_part),
                       .total = double(lines.size()),
                       .unit = images ? "images" : "lines"});
      return !interrupted();
    };
    const auto written =
        marker    ? task::mark_answers(*marker, part_of(questions),
                                       {.nbest = o.writing.nbest,
                                        .batch = o.writing.batch,
                                        .unanswerable = o.unanswerable},
                                       name, first, hear)
        : chooser ? task::answer_by_facts(
                        *chooser, part_of(questions),
                        {.nbest = o.writing.nbest, .batch = o.writing.batch, .cut = o.writing.cut},
                        name, first, hear)
        : images
            ? task::write_captions(*writer, pictures_at(part_of(lines), o, writer->model.config),
                                   o.writing, first, hear)
            : task::write_lines(*writer, part_of(lines), o.writing, name, first, hear);
    if (interrupted()) break;
    for (size_t i = 0; i < written.size() && first_written.empty(); ++i)
      if (!written[i].empty()) first_written = written[i][0].text;
    if (common.json)
      for (Json& line : json_of(written, o)) all.push_back(std::move(line));
    else
      print_lines(written, o);
    done = end;
  }
  progress.finish();
  if (done < lines.size())
    throw Error(ErrorKind::interrupted,
                fmt::format("stopped; the first {} of {} lines are written", done, lines.size()));
  if (!o.attention.empty()) write_attention(lines, first_written, o, common);
  if (!common.json) return;
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  print_json({{"schema", "headlight.writing/1"}, {"lines", std::move(all)}, {"seconds", seconds}});
}

void add_verb(CLI::App& program, const Common& common, const Verb& how) {
  auto options = std::make_shared<WritingOptions>();
  WritingOptions& o = *options;
  task::Writing& w = o.writing;
  CLI::App* verb = program.add_subcommand(how.name, how.about);
  verb->add_option("MODEL", o.model, "A folder of headlight train, or of Hugging Face")
      ->required()
      ->type_name("FOLDER");
  const bool images = how.reads == Verb::Reads::images;
  if (images)
    verb->add_option("IMAGE", o.images,
                     "PNG and JPEG files; of a .tsv the first column, from the folder it is in")
        ->required()
        ->type_name("FILE");
  else
    verb->add_option("FILE", o.file,
                     how.reads == Verb::Reads::questions
                         ? "Stories with questions as in bAbI, JSON as SQuAD's, or lines of a "
                           "question, a tab and what it is about; - is standard input"
                         : "Lines of text; - is standard input")
        ->capture_default_str();
  auto* search = "How to write";
  verb->add_option("--beam", o.beams,
                   fmt::format("Ways to go on that are followed at once; 1: the likeliest token "
                               "each time [{}]",
                               how.beams()))
      ->check(CLI::Range(1, 1000))
      ->group(search);
  verb->add_option("--length-penalty", w.length_penalty,
                   "Scores are divided by length to this power; above 1 favours long texts")
      ->capture_default_str()
      ->group(search);
  verb->add_flag("--early-stopping", w.early_stopping,
                 "Beams end with the first that are found, as BART asks for")
      ->group(search);
  verb->add_option("--temperature", w.temperature, "Draw tokens, the likelier the more often")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber)
      ->group(search);
  verb->add_option("--top-k", w.top_k, "Draw among so many tokens; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber)
      ->group(search);
  verb->add_option("--top-p", w.top_p, "Draw among the likeliest with this probability together")
      ->capture_default_str()
      ->check(CLI::Range(1e-9, 1.0))
      ->group(search);
  verb->add_option("--tokens", w.most_tokens,
                   how.reads == Verb::Reads::beginnings || images
                       ? "New tokens at most; 0: 64"
                       : "Tokens at most; 0: twice the source and 20")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber)
      ->group(search);
  auto* lines = images ? "Captions" : "Lines";
  verb->add_option(
          "--nbest", w.nbest,
          fmt::format("Texts for every {}, one below the other", images ? "image" : "line"))
      ->capture_default_str()
      ->check(CLI::Range(1, 1000))
      ->group(lines);
  verb->add_flag("--scores", o.scores, "Write each text's score and a tab before it")->group(lines);
  if (how.reads != Verb::Reads::beginnings && !images)
    verb->add_option("--attention", o.attention,
                     "Also the page of inspect for the first line and what was written")
        ->type_name("FILE")
        ->group(lines);
  if (how.reads == Verb::Reads::questions)
    verb->add_flag("--unanswerable", o.unanswerable,
                   "Models that mark answers, trained on SQuAD 2.0: an empty line where the text "
                   "has no answer")
        ->group(lines);
  verb->add_option("--batch", w.batch, images ? "Images at once" : "Lines at once")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000))
      ->group(lines);
  if (!images)
    verb->add_flag("--cut", w.cut, "Cut lines that are longer than the model reads")->group(lines);
  verb->footer(fmt::format(
      "{}\n\nExample:\n{}",
      images ? "A line for every image, in order." : "An empty line stays an empty line.",
      how.example));
  verb->callback([options, &common, how] { write(how, *options, common); });
}

}  // namespace

void add_writing(CLI::App& program, const Common& common) {
  add_verb(program, common,
           {"translate", "Lines in one language to lines in another",
            "  headlight translate en-de/ < test.en > test.de", Verb::Reads::lines});
  add_verb(program, common,
           {"summarize", "Long lines to short ones",
            "  headlight summarize summaries/ long.txt --length-penalty 0.8", Verb::Reads::lines});
  add_verb(program, common,
           {"answer", "Questions about a text to answers, a line each",
            "  headlight answer babi/ qa1_test.txt > answers.txt", Verb::Reads::questions});
  add_verb(program, common,
           {"caption", "Images to what they show, a line each",
            "  headlight caption captioner/ photo.jpg drawing.png", Verb::Reads::images});
  add_verb(program, common,
           {"generate", "Lines that a language model goes on with",
            "  echo 'Once upon a time' | headlight generate gpt2/ --temperature 0.8",
            Verb::Reads::beginnings});
}

}  // namespace headlight::app
