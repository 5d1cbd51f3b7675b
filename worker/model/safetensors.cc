#include "worker/model/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/json_fields.h"

namespace weft::worker {
namespace {

namespace json = boost::json;

constexpr StoredType kTypes[] = {{"F32", 4},  {"BF16", 2},    {"F16", 2},    {"F64", 8},
                                 {"BOOL", 1}, {"U8", 1},      {"I8", 1},     {"I16", 2},
                                 {"U16", 2},  {"I32", 4},     {"U32", 4},    {"I64", 8},
                                 {"U64", 8},  {"F8_E4M3", 1}, {"F8_E5M2", 1}};

std::optional<StoredType> FindType(const json::value* name) {
  if (name == nullptr || !name->is_string()) return std::nullopt;
  const std::string_view wanted(name->get_string().data(), name->get_string().size());
  for (const StoredType& type : kTypes) {
    if (wanted == type.name) return type;
  }
  return std::nullopt;
}

std::optional<int64_t> NonNegative(const json::value& value) {
  json::error_code error;
  const int64_t number = value.is_double() ? -1 : value.to_number<int64_t>(error);
  if (error || number < 0) return std::nullopt;
  return number;
}

// One entry of the header; offsets still count from the end of the header.
absl::StatusOr<StoredTensor> ParseTensor(const json::value& value, int64_t data_bytes) {
  auto refuse = [](auto... what) { return absl::InvalidArgumentError(absl::StrCat(what...)); };
  if (!value.is_object()) return refuse("is no object");
  const json::object& entry = value.get_object();
  for (const auto& field : entry) {
    if (field.key() != "dtype" && field.key() != "shape" && field.key() != "data_offsets") {
      return refuse("has an unknown field \"", std::string(field.key()), "\"");
    }
  }
  StoredTensor tensor;
  const json::value* dtype = entry.if_contains("dtype");
  const auto type = FindType(dtype);
  if (!type) {
    return refuse("has an unknown dtype ", dtype ? json::serialize(*dtype).c_str() : "(none)");
  }
  tensor.type = *type;

  const json::value* shape = entry.if_contains("shape");
  if (shape == nullptr || !shape->is_array()) return refuse("has no shape");
  int64_t bytes = type->bytes;
  for (const json::value& item : shape->get_array()) {
    const auto size = NonNegative(item);
    if (!size) return refuse("has the shape ", json::serialize(*shape).c_str());
    tensor.shape.push_back(*size);
    if (__builtin_mul_overflow(bytes, *size, &bytes)) {
      return refuse("has a shape that overflows: ", json::serialize(*shape).c_str());
    }
  }

  const json::value* offsets = entry.if_contains("data_offsets");
  if (offsets == nullptr || !offsets->is_array() || offsets->get_array().size() != 2) {
    return refuse("has no data_offsets");
  }
  const auto begin = NonNegative(offsets->get_array()[0]);
  const auto end = NonNegative(offsets->get_array()[1]);
  if (!begin || !end || *begin > *end) {
    return refuse("has the data_offsets ", json::serialize(*offsets).c_str());
  }
  if (*end > data_bytes) {
    return refuse("ends at byte ", *end, " of the data, but the file holds ", data_bytes,
                  " (truncated?)");
  }
  if (*end - *begin != bytes) {
    return refuse("takes ", *end - *begin, " bytes; its dtype and shape need ", bytes);
  }
  tensor.offset = *begin;
  tensor.bytes = bytes;
  return tensor;
}

}  // namespace

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(other.fd_), tensors_(std::move(other.tensors_)) {
  other.fd_ = -1;
}

SafetensorsFile::~SafetensorsFile() {
  if (fd_ >= 0) ::close(fd_);
}

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const std::string message = absl::StrCat(path, ": cannot be opened: ", std::strerror(errno));
    return errno == ENOENT ? absl::NotFoundError(message) : absl::UnavailableError(message);
  }
  SafetensorsFile file(path, fd);
  struct stat info;
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(path + ": not a regular file");
  }
  if (auto s = file.ParseHeader(info.st_size); !s.ok()) {
    return absl::Status(s.code(), absl::StrCat(path, ": ", s.message()));
  }
  return file;
}

absl::Status SafetensorsFile::ParseHeader(int64_t file_bytes) {
  auto refuse = [](auto... what) { return absl::InvalidArgumentError(absl::StrCat(what...)); };
  unsigned char prefix[8];
  if (file_bytes < 8) return refuse("only ", file_bytes, " bytes long; no safetensors file");
  if (auto s = Read(0, 8, prefix); !s.ok()) return s;
  uint64_t header_bytes = 0;
  for (int i = 7; i >= 0; --i) header_bytes = header_bytes << 8 | prefix[i];
  if (header_bytes > uint64_t{kMaxHeaderBytes}) {
    return refuse("a header of ", header_bytes, " bytes; at most ", kMaxHeaderBytes, " are read");
  }
  if (header_bytes > static_cast<uint64_t>(file_bytes - 8)) {
    return refuse("a header of ", header_bytes, " bytes in a file of ", file_bytes,
                  " (truncated?)");
  }
  std::string text(header_bytes, '\0');
  if (auto s = Read(8, header_bytes, text.data()); !s.ok()) return s;
  if (text.empty() || text[0] != '{') return refuse("the header does not start with '{'");
  auto header = ParseJsonObject(text);
  if (!header.ok()) return refuse("header: ", header.status().message());

  const int64_t data_start = 8 + static_cast<int64_t>(header_bytes);
  const int64_t data_bytes = file_bytes - data_start;
  std::vector<std::pair<int64_t, const std::string*>> by_offset;
  for (const auto& field : *header) {
    const std::string name(field.key());
    if (name == "__metadata__") continue;
    auto tensor = ParseTensor(field.value(), data_bytes);
    if (!tensor.ok()) return refuse("tensor ", name, " ", tensor.status().message());
    const auto [place, inserted] = tensors_.emplace(name, *std::move(tensor));
    by_offset.emplace_back(place->second.offset, &place->first);
  }

  // Side by side, from the data's first byte to its last. An empty tensor stands
  // before the one that starts at the same byte.
  std::sort(by_offset.begin(), by_offset.end(), [&](const auto& a, const auto& b) {
    return std::pair(a.first, tensors_.at(*a.second).bytes) <
           std::pair(b.first, tensors_.at(*b.second).bytes);
  });
  int64_t next = 0;
  for (const auto& [offset, name] : by_offset) {
    StoredTensor& tensor = tensors_.at(*name);
    if (offset < next) {
      return refuse("tensor ", *name, " starts at byte ", offset,
                    " of the data, inside the tensor before it, which ends at ", next);
    }
    if (offset > next) {
      return refuse("tensor ", *name, " starts at byte ", offset, " of the data; bytes from ", next,
                    " on belong to no tensor");
    }
    next = offset + tensor.bytes;
    tensor.offset += data_start;
  }
  if (next != data_bytes) {
    return refuse("the last ", data_bytes - next, " bytes of the file belong to no tensor");
  }
  return absl::OkStatus();
}

absl::Status SafetensorsFile::Read(int64_t offset, int64_t bytes, void* out) const {
  char* to = static_cast<char*>(out);
  while (bytes > 0) {
    const ssize_t got = ::pread(fd_, to, bytes, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return absl::DataLossError(
          absl::StrCat(path_, ": reading at byte ", offset, ": ", std::strerror(errno)));
    }
    if (got == 0) {
      return absl::DataLossError(absl::StrCat(path_, ": became shorter while it was read"));
    }
    to += got;
    offset += got;
    bytes -= got;
  }
  return absl::OkStatus();
}

}  // namespace weft::worker
