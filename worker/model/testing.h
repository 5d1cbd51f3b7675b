// Model directories for tests: small, of any shape, sound or broken.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "worker/model/weight_source.h"

namespace weft::worker::testing {

// A directory that goes with the object.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::string path() const { return path_.string(); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  void Write(const std::string& name, const std::string& content) const;

 private:
  std::filesystem::path path_;
};

// A Qwen2 shape with what a test wants to vary.
struct TinyModel {
  int vocab_size = 97;
  int hidden_size = 64;
  int intermediate_size = 112;
  int num_layers = 2;
  int num_heads = 4;
  int num_kv_heads = 2;
  int max_position_embeddings = 256;
  bool tied_head = true;
  std::string dtype = "float32";
  std::string more;  // further fields, each followed by a comma

  std::string ConfigJson() const;
  ModelConfig Config() const;
};

// One tensor of a safetensors file to be.
struct TensorData {
  std::string name;
  std::string dtype;  // "F32"
  std::vector<int64_t> shape;
  std::string bytes;
};

// The file's whole content; `padding` spaces lengthen the header.
std::string SafetensorsBytes(const std::vector<TensorData>& tensors, int padding = 0);
// The same around a header written by hand.
std::string SafetensorsBytes(const std::string& header, const std::string& data);

// The dummy weights of that shape in the checkpoint's dtype.
std::vector<TensorData> DummyTensors(const ModelConfig& config);

}  // namespace weft::worker::testing
