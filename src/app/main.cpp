// The program: parses the command line, runs one verb, turns errors into exit codes.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <new>

#include "app/bench.h"
#include "app/check.h"
#include "app/classify.h"
#include "app/diff.h"
#include "app/evaluate.h"
#include "app/help.h"
#include "app/inspect.h"
#include "app/measure.h"
#include "app/prune.h"
#include "app/rank.h"
#include "app/reproduce.h"
#include "app/study.h"
#include "app/tokenize.h"
#include "app/trace.h"
#include "app/train.h"
#include "app/verb_options.h"
#include "app/version.h"
#include "app/writing.h"
#include "headlight/error.h"
#include "model/memory.h"
#include "report/terminal.h"

namespace {

using namespace headlight;

constexpr int kBug = 70;

void complain(const std::string& message) {
  if (message.empty()) return;  // another process of the job says it
  // What a user or a file gave must not move the cursor or colour the terminal.
  fmt::print(stderr, "headlight: {}\n", report::escaped(message));
}

// What was mistyped and what is near to it.
int wrong_usage(const CLI::App& program, const CLI::ParseError& error, int argc, char** argv) {
  const CLI::App* verb = &program;
  for (const CLI::App* used : program.get_subcommands()) verb = used;
  std::vector<std::string> words;
  if (verb == &program) {
    for (const CLI::App* known : program.get_subcommands(nullptr))
      words.push_back(known->get_name());
  }
  for (const CLI::Option* option : verb->get_options())
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);

  std::string hint;
  const bool unknown =
      dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr || (verb == &program && argc > 1);
  if (unknown) {
    for (int i = 1; i < argc && hint.empty(); ++i) {
      const std::string word = std::string(argv[i]).substr(0, std::string(argv[i]).find('='));
      if (std::find(words.begin(), words.end(), word) != words.end() || word == verb->get_name())
        continue;
      if (verb != &program && !word.starts_with('-')) continue;
      const std::string near = app::nearest_word(word, words);
      if (!near.empty()) hint = fmt::format("; did you mean {}?", near);
    }
  }
  complain(fmt::format("{}{}", error.what(), hint));
  fmt::print(stderr, "Run headlight {}--help for how it is used.\n",
             verb == &program ? "" : verb->get_name() + " ");
  return static_cast<int>(ErrorKind::usage);
}

int run(int argc, char** argv) {
  app::Common common;
  CLI::App program("Exact multi-head attention, and a lab that shows what every head does.",
                   "headlight");
  program.set_version_flag("--version", app::version_text, "Version, libraries, processor");
  program.require_subcommand(1);
  program.formatter(std::make_shared<app::HelpText>());
  app::add_study(program, common);
  app::add_reproduce(program, common);
  app::add_inspect(program, common);
  app::add_trace(program, common);
  app::add_rank(program, common);
  app::add_prune(program, common);
  app::add_diff(program, common);
  app::add_check(program, common);
  app::add_train(program, common);
  app::add_writing(program, common);
  app::add_classify(program, common);
  app::add_evaluate(program, common);
  app::add_measure(program, common);
  app::add_tokenize(program, common);
  app::add_bench(program, common);
  for (CLI::App* verb : program.get_subcommands(nullptr)) app::add_common_options(*verb, common);
  if (argc == 1) {
    fmt::print("{}", program.help());
    return 0;
  }
  try {
    program.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);  // --help, --version
    return wrong_usage(program, error, argc, argv);
  }
}

// libtorch says that memory is out with an exception of no type of its own.
bool is_out_of_memory(const std::exception& error) {
  return dynamic_cast<const std::bad_alloc*>(&error) != nullptr ||
         std::string_view(error.what()).find("can't allocate memory") != std::string_view::npos;
}

int run_and_complain(int argc, char** argv) {
  try {
    model::keep_freed_memory();
    return run(argc, argv);
  } catch (const Error& error) {
    complain(error.what());
    return static_cast<int>(error.kind());
  } catch (const std::filesystem::filesystem_error& error) {
    const bool full = error.code() == std::errc::no_space_on_device;
    complain(fmt::format("{}: {}", error.path1().string(), error.code().message()));
    return static_cast<int>(full ? ErrorKind::no_resources : ErrorKind::bad_input);
  } catch (const std::exception& error) {
    if (is_out_of_memory(error)) {
      complain("not enough memory for this; use a smaller model, batch or length");
      return static_cast<int>(ErrorKind::no_resources);
    }
    complain(fmt::format("this is a bug in headlight, please report it: {}", error.what()));
    return kBug;
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run_and_complain(argc, argv);
  } catch (...) {  // not even the complaint could be written
    return kBug;
  }
}
