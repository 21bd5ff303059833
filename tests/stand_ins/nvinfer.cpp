// Stands in for libnvinfer.so.10 under NVIDIA's own Python module 10.3.0, where there is no GPU: one engine with the
// inputs latent [1, 8] and digit [1, 10], whose image [1, 8, 8, 1] is latent[i % 8] + digit[i % 10].
//
// The module calls through tables of virtual functions; their order is that of NvInferImpl.h in NVIDIA/TensorRT.
// Functions that we do not use only keep their places.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#define PLACE(name) virtual void name() {}
#define PLACES4(name) PLACE(name##1) PLACE(name##2) PLACE(name##3) PLACE(name##4)

struct Logger {
  virtual void log(int32_t severity, const char *words) noexcept = 0;
  virtual ~Logger() = default;
};
struct Dims {
  int32_t count;
  int64_t sizes[8];
};
struct Api {  // what the module holds: an object with a virtual destructor and a pointer to the implementation
  explicit Api(void *made) : implementation(made) {}
  virtual ~Api() = default;
  void *implementation;
};

const int32_t kError = 1, kWarning = 2, kFloat = 0;
const char *const kNames[] = {"latent", "digit", "image"};
const Dims kShapes[] = {{2, {1, 8}}, {2, {1, 10}}, {4, {1, 8, 8, 1}}};
float *addresses[3];
Logger *logger;

int place(const char *name) {
  for (int index = 0; index < 3; ++index)
    if (!std::strcmp(name, kNames[index])) return index;
  return -1;
}

struct Context {
  virtual ~Context() = default;
  PLACES4(a) PLACES4(b) PLACES4(c) PLACES4(d) PLACES4(e) PLACE(setInputShape) PLACE(getTensorShape)  // 22 before the next
  virtual bool setTensorAddress(const char *name, void *address) noexcept {
    if (place(name) < 0) return false;
    addresses[place(name)] = static_cast<float *>(address);
    return true;
  }
  PLACES4(f) PLACES4(g) PLACES4(h)  // 12 between
  virtual bool enqueueV3(void *stream) noexcept {
    if (stream != reinterpret_cast<void *>(5)) return false;
    for (int i = 0; i < 64; ++i) addresses[2][i] = addresses[0][i % 8] + addresses[1][i % 10];
    return true;
  }
  PLACES4(i) PLACES4(j) PLACES4(k) PLACES4(l)
};

struct Engine {
  virtual ~Engine() = default;
  PLACE(getPImpl) PLACE(getNbLayers) PLACE(serialize)
  virtual void *createExecutionContext(int32_t) noexcept { return new Api(new Context); }
  PLACES4(a) PLACES4(b) PLACES4(c) PLACE(createEngineInspector)  // 13 between
  virtual Dims getTensorShape(const char *name) const noexcept { return kShapes[place(name)]; }
  virtual int32_t getTensorDataType(const char *) const noexcept { return kFloat; }
  PLACES4(d) PLACES4(e) PLACE(getProfileShape)  // 9 between
  virtual int32_t getNbIOTensors() const noexcept { return 3; }
  virtual const char *getIOTensorName(int32_t index) const noexcept { return kNames[index]; }
  PLACES4(f) PLACES4(g) PLACES4(h) PLACES4(i) PLACES4(j) PLACES4(k)
};

struct Runtime {
  virtual ~Runtime() = default;
  PLACE(getPImpl)
  virtual void *deserializeCudaEngine(const void *plan, std::size_t size) noexcept {
    if (size >= 4 && !std::memcmp(plan, "plan", 4)) return new Api(new Engine);
    logger->log(kError, "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Version tag does not match.)");
    return nullptr;
  }
  PLACES4(a) PLACES4(b) PLACES4(c) PLACES4(d) PLACES4(e)
};

extern "C" {
void *createInferRuntime_INTERNAL(void *given, int32_t) {
  logger = static_cast<Logger *>(given);
  logger->log(kWarning, "a warning, which nobody asked for");
  if (!std::getenv("STAND_IN_NO_START")) return new Api(new Runtime);
  logger->log(kError, "createInferRuntime: Error Code 6: API Usage Error (CUDA initialization failure with error: 35.)");
  return nullptr;
}
void *createInferBuilder_INTERNAL(void *, int32_t) { return nullptr; }
void *createInferRefitter_INTERNAL(void *, void *, int32_t) { return nullptr; }
void *createNvOnnxParser_INTERNAL(void *, void *, int32_t) { return nullptr; }
void *createNvOnnxParserRefitter_INTERNAL(void *, void *, int32_t) { return nullptr; }
int32_t getNvOnnxParserVersion() { return 100300; }
void *getPluginRegistry() { return nullptr; }
void *getBuilderPluginRegistry(int32_t) { return nullptr; }
bool initLibNvInferPlugins(void *, const char *) { return true; }
}
