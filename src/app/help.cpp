#include "app/help.h"

#include "report/terminal.h"

namespace headlight::app {
namespace {

constexpr int kWidth = 80;
constexpr size_t kColumn = 30;  // where descriptions begin

std::string line(const std::string& name, const std::string& about) {
  std::string text = "  " + name;
  if (text.size() + 2 > kColumn)
    text += "\n" + std::string(kColumn, ' ');
  else
    text.resize(kColumn, ' ');
  std::string lines = report::wrapped(about, kWidth - int(kColumn));
  for (size_t at = 0; (at = lines.find('\n', at)) != std::string::npos; at += 1 + kColumn)
    lines.insert(at + 1, kColumn, ' ');
  return text + lines + "\n";
}

// What stands for the value: the type, without the ranges and words that are allowed.
std::string value_name(const CLI::Option* option) {
  const std::string type = option->get_type_name();
  const std::string name = type.substr(0, type.find(':'));
  if (name == "INT" || name == "UINT") return "N";
  if (name == "FLOAT") return "X";
  return name == "TEXT" ? "NAME" : name;
}

}  // namespace

std::string HelpText::make_help(const CLI::App* app, std::string name,
                                CLI::AppFormatMode mode) const {
  std::string text = Formatter::make_help(app, name, mode);
  for (size_t at = 0; (at = text.find("\n\n\n", at)) != std::string::npos;) text.erase(at, 1);
  return text;
}

std::string HelpText::make_option(const CLI::Option* option, bool is_positional) const {
  std::string about = option->get_description();
  if (std::string usual = option->get_default_str(); !usual.empty() && option->get_type_size() != 0)
    about += usual.front() == '[' ? " " + usual : " [" + usual + "]";
  return line(
      make_option_name(option, is_positional) + (is_positional ? "" : make_option_opts(option)),
      about);
}

std::string HelpText::make_option_opts(const CLI::Option* option) const {
  if (option->get_type_size() == 0) return "";
  std::string text = " " + value_name(option);
  if (option->get_expected_max() == CLI::detail::expected_max_vector_size) return text + " ...";
  for (int i = 1; i < option->get_expected_min(); ++i) text += " " + value_name(option);
  return text;
}

std::string HelpText::make_subcommand(const CLI::App* verb) const {
  return line(verb->get_name(), verb->get_description());
}

}  // namespace headlight::app
