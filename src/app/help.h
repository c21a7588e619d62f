// How the program explains itself.
#pragma once

#include <CLI/CLI.hpp>

namespace headlight::app {

// Help of at most 80 columns, with words that a person knows: N for a whole number, X for another
// one, FILE and FOLDER for paths, defaults in brackets.
class HelpText : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override;
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_subcommand(const CLI::App* verb) const override;
};

}  // namespace headlight::app
