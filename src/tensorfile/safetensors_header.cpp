#include "tensorfile/safetensors_header.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>

#include "headlight/error.h"
#include "tensorfile/json_file.h"

namespace headlight::tensorfile {
namespace {

constexpr size_t kMostDimensions = 64;

std::optional<DType> dtype_named(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(DType::f64); ++i) {
    if (safetensors_name(static_cast<DType>(i)) == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

// Takes the events of the JSON parser one by one, so that a header of a hundred megabytes of
// brackets costs no more than its own size.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(const std::string& file) : file_(file) {}
  TensorHeader header;

  bool start_object(std::size_t) override {
    switch (place_) {
      case Place::outside:
        place_ = Place::top;
        return true;
      case Place::tensor_value:
        place_ = Place::tensor;
        begin_tensor();
        return true;
      case Place::metadata_value:
        place_ = Place::metadata;
        return true;
      default:
        unexpected("an object");
    }
  }

  bool end_object() override {
    if (place_ == Place::tensor) end_tensor();
    place_ = place_ == Place::top ? Place::outside : Place::top;
    return true;
  }

  bool key(string_t& name) override {
    switch (place_) {
      case Place::top:
        if (!names_.insert(name).second) refuse(fmt::format("has the name '{}' twice", name));
        place_ = name == "__metadata__" ? Place::metadata_value : Place::tensor_value;
        name_ = name;
        return true;
      case Place::metadata:
        if (!header.metadata.emplace(name, "").second) {
          refuse(fmt::format("has '{}' twice in __metadata__", name));
        }
        metadata_key_ = name;
        place_ = Place::metadata_text;
        return true;
      default:
        tensor_key(name);
        return true;
    }
  }

  bool string(string_t& text) override {
    if (place_ == Place::metadata_text) {
      header.metadata[metadata_key_] = text;
      place_ = Place::metadata;
    } else if (place_ == Place::dtype) {
      const auto dtype = dtype_named(text);
      if (!dtype) {
        refuse(
            fmt::format("tensor '{}' has the dtype '{}', which headlight does not read; it "
                        "reads BOOL, U8, I8, U16, I16, U32, I32, U64, I64, F16, BF16, F32, F64",
                        name_, text));
      }
      entry().dtype = *dtype;
      place_ = Place::tensor;
    } else {
      unexpected("a string");
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::shape_value) {
      place_ = Place::shape;
    } else if (place_ == Place::offsets_value) {
      place_ = Place::offsets;
    } else {
      unexpected("a list");
    }
    return true;
  }

  bool end_array() override {
    if (place_ == Place::offsets) {
      if (offsets_.size() != 2) refuse(at("data_offsets") + " must hold two numbers");
      entry().begin = offsets_[0];
      entry().end = offsets_[1];
    }
    place_ = Place::tensor;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::shape && place_ != Place::offsets) unexpected("a number");
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      refuse(at(place_ == Place::shape ? "shape" : "data_offsets") +
             fmt::format(" holds {}; numbers must be below 2^63", value));
    }
    auto& list = place_ == Place::shape ? entry().shape : offsets_;
    if (list.size() == kMostDimensions) {
      refuse(at("shape") + fmt::format(" has more than {} dimensions", kMostDimensions));
    }
    list.push_back(static_cast<int64_t>(value));
    return true;
  }

  bool number_integer(number_integer_t) override { unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { unexpected("a fraction"); }
  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("true or false"); }
  bool binary(binary_t&) override { unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception& problem) override {
    refuse(
        fmt::format("is not JSON at byte {} of the header: {}", position, json_problem(problem)));
  }

 private:
  enum class Place {
    outside,
    top,
    metadata_value,
    metadata,
    metadata_text,
    tensor_value,
    tensor,
    dtype,
    shape_value,
    shape,
    offsets_value,
    offsets
  };

  [[noreturn]] void refuse(const std::string& what) {
    throw Error(ErrorKind::bad_input, fmt::format("{}: the header {}", file_, what));
  }
  [[noreturn]] void unexpected(const char* found) {
    refuse(fmt::format("has {} where {} belongs{}", found, wanted(),
                       name_.empty() ? "" : fmt::format(", in '{}'", name_)));
  }
  const char* wanted() const {
    switch (place_) {
      case Place::outside:
        return "one object";
      case Place::metadata_value:
        return "an object of texts";
      case Place::metadata_text:
        return "a text";
      case Place::tensor_value:
        return "an object with dtype, shape and data_offsets";
      case Place::dtype:
        return "the name of an element type";
      case Place::shape_value:
        return "a list of sizes";
      case Place::offsets_value:
        return "a list of two offsets";
      default:
        return "a whole number from 0";
    }
  }
  std::string at(const char* key) { return fmt::format("is wrong: {} of '{}'", key, name_); }
  TensorEntry& entry() { return header.entries.back(); }

  void begin_tensor() {
    header.entries.push_back({name_, DType::f32, {}, 0, 0});
    offsets_.clear();
    has_dtype_ = has_shape_ = has_offsets_ = false;
  }

  void tensor_key(const std::string& key) {
    bool* seen = nullptr;
    if (key == "dtype") {
      seen = &has_dtype_;
      place_ = Place::dtype;
    } else if (key == "shape") {
      seen = &has_shape_;
      place_ = Place::shape_value;
    } else if (key == "data_offsets") {
      seen = &has_offsets_;
      place_ = Place::offsets_value;
    } else {
      refuse(
          fmt::format("has the unknown key '{}' in '{}'; dtype, shape and data_offsets belong "
                      "there",
                      key, name_));
    }
    if (*seen) refuse(fmt::format("has '{}' twice in '{}'", key, name_));
    *seen = true;
  }

  void end_tensor() {
    for (const auto& [seen, key] : {std::pair{has_dtype_, "dtype"}, std::pair{has_shape_, "shape"},
                                    std::pair{has_offsets_, "data_offsets"}}) {
      if (!seen) refuse(fmt::format("has no {} for '{}'", key, name_));
    }
  }

  const std::string& file_;
  Place place_ = Place::outside;
  std::string name_, metadata_key_;
  std::unordered_set<std::string> names_;
  std::vector<int64_t> offsets_;
  bool has_dtype_ = false, has_shape_ = false, has_offsets_ = false;
};

}  // namespace

TensorHeader parse_safetensors_header(std::string_view text, const std::string& file) {
  if (const size_t zero = text.find('\0'); zero != std::string_view::npos) {
    // The parser would take it for the end of the text.
    throw Error(ErrorKind::bad_input,
                fmt::format("{}: the header is not JSON: byte {} of it is 0", file, zero));
  }
  HeaderReader reader(file);
  nlohmann::json::sax_parse(text, &reader);
  return std::move(reader.header);
}

}  // namespace headlight::tensorfile
