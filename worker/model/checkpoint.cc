#include <algorithm>
#include <boost/json/object.hpp>
#include <map>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/check.h"
#include "common/json_fields.h"
#include "worker/model/digest.h"
#include "worker/model/safetensors.h"
#include "worker/model/weight_source.h"

namespace weft::worker {
namespace {

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";
constexpr int64_t kMaxIndexBytes = 64 << 20;

// Read at a time where numbers are converted on the way.
constexpr int64_t kStagingNumbers = 1 << 20;

// Of each tensor that much from its start, middle and end goes into the
// fingerprint: enough to tell fine-tunes apart, without reading a large
// checkpoint twice.
constexpr int64_t kFingerprintSample = 4096;

std::string Shown(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

// transformers ignores these as well.
bool IsIgnored(const std::string& name) {
  return name == "lm_head.weight" || name.ends_with(".rotary_emb.inv_freq");
}

// A name from the index, to be opened inside the model directory and nowhere else.
bool IsPlainFileName(const std::string& name) {
  return !name.empty() && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos && name[0] != '.' && name.ends_with(".safetensors");
}

class Checkpoint : public WeightSource {
 public:
  absl::Status Open(const std::string& dir, const std::vector<TensorSpec>& expected);
  absl::Status ReadRange(const TensorSpec& tensor, DType dtype, NumberRange range,
                         void* out) const override;
  absl::StatusOr<std::string> Fingerprint() const override;

 private:
  struct Place {
    const SafetensorsFile* file;
    const StoredTensor* tensor;
    DType dtype;
  };

  absl::Status OpenFiles(const std::string& dir);
  absl::Status OpenShards(const std::string& dir);
  absl::Status OpenFile(const std::string& path);
  absl::Status Find(const TensorSpec& spec);

  std::string dir_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Place> places_;  // of the expected tensors
};

absl::Status Checkpoint::Open(const std::string& dir, const std::vector<TensorSpec>& expected) {
  dir_ = dir;
  if (auto s = OpenFiles(dir); !s.ok()) return s;
  std::set<std::string> wanted;
  for (const TensorSpec& spec : expected) {
    if (auto s = Find(spec); !s.ok()) return s;
    wanted.insert(spec.name);
  }
  for (const auto& file : files_) {
    for (const auto& [name, tensor] : file->tensors()) {
      if (wanted.count(name) || IsIgnored(name)) continue;
      return absl::InvalidArgumentError(absl::StrCat(file->path(), ": tensor ", name,
                                                     " has no place in a Qwen2 model of this "
                                                     "config.json"));
    }
  }
  return absl::OkStatus();
}

absl::Status Checkpoint::OpenFiles(const std::string& dir) {
  const auto single = OpenFile(absl::StrCat(dir, "/", kSingleFile));
  if (!absl::IsNotFound(single)) return single;
  const auto shards = OpenShards(dir);
  if (!absl::IsNotFound(shards)) return shards;
  return absl::NotFoundError(absl::StrCat(dir, ": neither ", kSingleFile, " nor ", kIndexFile,
                                          "; weights are read from safetensors files only"));
}

absl::Status Checkpoint::OpenShards(const std::string& dir) {
  const std::string path = absl::StrCat(dir, "/", kIndexFile);
  auto refuse = [&](auto... what) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", what...));
  };
  auto text = ReadFile(path, kMaxIndexBytes);
  if (!text.ok()) return text.status();
  auto index = ParseJsonObject(*text);
  if (!index.ok()) return refuse(index.status().message());
  const auto* map = index->if_contains("weight_map");
  if (map == nullptr || !map->is_object()) return refuse("weight_map must be an object");

  std::map<std::string, std::string> file_of;
  std::set<std::string> names;
  for (const auto& entry : map->get_object()) {
    const std::string tensor(entry.key());
    if (!entry.value().is_string()) return refuse("tensor ", tensor, " has no file name");
    const std::string file(entry.value().get_string().c_str());
    if (!IsPlainFileName(file)) {
      return refuse("tensor ", tensor, " is said to be in \"", file,
                    "\", which is no safetensors file of this directory");
    }
    file_of[tensor] = file;
    names.insert(file);
  }
  for (const std::string& name : names) {
    const auto opened = OpenFile(absl::StrCat(dir, "/", name));
    if (absl::IsNotFound(opened)) {
      return absl::InvalidArgumentError(
          absl::StrCat(dir, "/", name, ": missing, but ", kIndexFile, " lists it"));
    }
    if (!opened.ok()) return opened;
    for (const auto& [tensor, stored] : files_.back()->tensors()) {
      const auto listed = file_of.find(tensor);
      if (listed == file_of.end()) return refuse("does not list tensor ", tensor, " of ", name);
      if (listed->second != name) {
        return refuse("tensor ", tensor, " is in ", name, " and, as the index has it, in ",
                      listed->second);
      }
      file_of.erase(listed);
    }
  }
  if (!file_of.empty()) {
    return refuse("tensor ", file_of.begin()->first, " is not in ", file_of.begin()->second);
  }
  return absl::OkStatus();
}

absl::Status Checkpoint::OpenFile(const std::string& path) {
  auto file = SafetensorsFile::Open(path);
  if (!file.ok()) return file.status();
  files_.push_back(std::make_unique<SafetensorsFile>(*std::move(file)));
  return absl::OkStatus();
}

absl::Status Checkpoint::Find(const TensorSpec& spec) {
  for (const auto& file : files_) {
    const auto found = file->tensors().find(spec.name);
    if (found == file->tensors().end()) continue;
    const StoredTensor& tensor = found->second;
    auto refuse = [&](auto... what) {
      return absl::InvalidArgumentError(
          absl::StrCat(file->path(), ": tensor ", spec.name, " ", what...));
    };
    if (tensor.shape != spec.shape) {
      return refuse("has shape ", Shown(tensor.shape), "; config.json makes it ",
                    Shown(spec.shape));
    }
    DType dtype;
    const std::string_view type = tensor.type.name;
    if (type == "F32") {
      dtype = DType::kFloat32;
    } else if (type == "BF16") {
      dtype = DType::kBFloat16;
    } else if (type == "F16") {
      dtype = DType::kFloat16;
    } else {
      return refuse("is of type ", tensor.type.name, "; BF16, F16 and F32 are supported");
    }
    places_[spec.name] = {file.get(), &tensor, dtype};
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(dir_, ": tensor ", spec.name, " is missing"));
}

absl::Status Checkpoint::ReadRange(const TensorSpec& spec, DType dtype, NumberRange range,
                                   void* out) const {
  WEFT_CHECK(range.first >= 0 && range.first + range.count <= spec.num_elements());
  const Place& place = places_.at(spec.name);
  const int64_t stored_bytes = BytesOf(place.dtype);
  const int64_t offset = place.tensor->offset + range.first * stored_bytes;
  if (place.dtype == dtype) return place.file->Read(offset, range.count * stored_bytes, out);
  const int64_t piece = std::min(range.count, kStagingNumbers);
  const auto staging = std::make_unique_for_overwrite<char[]>(piece * stored_bytes);
  for (int64_t start = 0; start < range.count; start += piece) {
    const int64_t n = std::min(piece, range.count - start);
    const auto read =
        place.file->Read(offset + start * stored_bytes, n * stored_bytes, staging.get());
    if (!read.ok()) return read;
    ConvertNumbers(staging.get(), place.dtype, static_cast<char*>(out) + start * BytesOf(dtype),
                   dtype, n);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Checkpoint::Fingerprint() const {
  Digest digest;
  std::string sample(kFingerprintSample, '\0');
  for (const auto& [name, place] : places_) {
    const StoredTensor& tensor = *place.tensor;
    digest.Add(absl::StrCat(name, " ", NameOf(place.dtype), " ", Shown(tensor.shape), "\n"));
    const int64_t n = std::min(kFingerprintSample, tensor.bytes);
    for (int64_t at : {int64_t{0}, (tensor.bytes - n) / 2, tensor.bytes - n}) {
      if (auto s = place.file->Read(tensor.offset + at, n, sample.data()); !s.ok()) return s;
      digest.Add(std::string_view(sample.data(), n));
    }
  }
  return digest.Hex();
}

}  // namespace

absl::StatusOr<std::unique_ptr<WeightSource>> OpenCheckpoint(
    const std::string& model_dir, const std::vector<TensorSpec>& expected) {
  auto checkpoint = std::make_unique<Checkpoint>();
  if (auto s = checkpoint->Open(model_dir, expected); !s.ok()) return s;
  return checkpoint;
}

}  // namespace weft::worker
