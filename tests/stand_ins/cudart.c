/* Stands in for libcudart.so where there is no GPU: the same calls, on the memory of this machine. */
#include <stdlib.h>
#include <string.h>

#define MAJOR 75
#define MINOR 76
#define MULTIPROCESSORS 16

int cudaDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  if (getenv("STAND_IN_NO_GPU")) return 100; /* cudaErrorNoDevice */
  const char *capability = getenv("STAND_IN_SM"); /* two digits */
  if (!capability) capability = "87";
  if (attribute == MAJOR) *value = capability[0] - '0';
  else if (attribute == MINOR) *value = capability[1] - '0';
  else if (attribute == MULTIPROCESSORS) *value = 8;
  else return 1; /* cudaErrorInvalidValue */
  return 0;
}

int cudaStreamCreate(void **stream) { *stream = (void *)0x5; return 0; }
int cudaStreamSynchronize(void *stream) { return stream == (void *)0x5 ? 0 : 400; }

int cudaMalloc(void **address, size_t size) {
  const char *most = getenv("STAND_IN_GPU_BYTES");
  if (most && size > (size_t)atol(most)) return 2; /* cudaErrorMemoryAllocation */
  *address = malloc(size);
  return *address ? 0 : 2;
}
int cudaFree(void *address) { free(address); return 0; }

int cudaMemcpyAsync(void *target, const void *source, size_t size, int kind, void *stream) {
  if ((kind != 1 && kind != 2) || stream != (void *)0x5) return 1;
  memcpy(target, source, size);
  return 0;
}

const char *cudaGetErrorString(int code) {
  if (code == 2) return "out of memory";
  if (code == 100) return "no CUDA-capable device is detected";
  return "invalid argument";
}
