/* Stands in for libedgetpu: a real delegate library, loaded by a real runtime, without an Edge TPU behind it.
 *
 * It claims the operators named edgetpu-custom-op and answers them from a record of inputs and outputs, as an
 * Edge TPU would. STANDIN_TPU_RECORD names the record: for each answer two 32-bit lengths, the inputs' bytes, the
 * outputs' bytes. STANDIN_TPU_LOG names a file that the options are written to. STANDIN_TPU_MODE is `absent` (no
 * device), `idle` (claims nothing), `wrong` (answers zeros), `any` (answers what it does not know with the first
 * answer of the record) or `crash`.
 *
 * What is declared here of TensorFlow Lite's C structures is their beginning, which has been the same since 2.5.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { int size; int data[]; } Ints;

typedef struct {
  int type;
  void *data;
  Ints *dims;
  struct { float scale; int32_t zero_point; } params;
  int allocation_type;
  size_t bytes;
  const void *allocation;
  const char *name;
  void *delegate;
  int buffer_handle;
  uint8_t data_is_stale, is_variable;
  struct { int type; void *params; } quantization;
  void *sparsity;
  const Ints *dims_signature;
} Tensor;

typedef struct {
  Ints *inputs, *outputs, *intermediates, *temporaries;
  void *user_data;
} Node;

struct Context;
typedef struct Registration {
  void *(*init)(struct Context *, const char *, size_t);
  void (*free)(struct Context *, void *);
  int (*prepare)(struct Context *, Node *);
  int (*invoke)(struct Context *, Node *);
  const char *(*profiling_string)(const struct Context *, const Node *);
  int32_t builtin_code;
  const char *custom_name;
  int version;
  void *later[8];
} Registration;

typedef struct Context {
  size_t tensors_size;
  int (*GetExecutionPlan)(struct Context *, Ints **);
  Tensor *tensors;
  void *impl;
  void *ResizeTensor;
  void (*ReportError)(struct Context *, const char *, ...);
  void *AddTensors;
  int (*GetNodeAndRegistration)(struct Context *, int, Node **, Registration **);
  int (*ReplaceNodeSubsetsWithDelegateKernels)(struct Context *, Registration, const Ints *, void *);
} Context;

typedef struct Delegate {
  void *data;
  int (*Prepare)(Context *, struct Delegate *);
  void *CopyFromBufferHandle, *CopyToBufferHandle, *FreeBufferHandle;
  int64_t flags;
  void *opaque_delegate_builder;
} Delegate;

enum { OK = 0, ERROR = 1, READ_ONLY = 1 };

static int mode_is(const char *name) {
  const char *mode = getenv("STANDIN_TPU_MODE");
  return mode != NULL && strcmp(mode, name) == 0;
}

/* Join the inputs that are computed; 0 where there is no room for them. */
static size_t gather(Context *context, const Ints *indices, uint8_t *into, size_t room) {
  size_t used = 0;
  for (int i = 0; i < indices->size; ++i) {
    const Tensor *tensor = &context->tensors[indices->data[i]];
    if (indices->data[i] < 0 || tensor->allocation_type == READ_ONLY) continue;
    if (used + tensor->bytes > room) return 0;
    memcpy(into + used, tensor->data, tensor->bytes);
    used += tensor->bytes;
  }
  return used;
}

static void scatter(Context *context, const Ints *indices, const uint8_t *from, size_t length) {
  size_t used = 0;
  for (int i = 0; i < indices->size; ++i) {
    Tensor *tensor = &context->tensors[indices->data[i]];
    if (used + tensor->bytes > length) return;
    memcpy(tensor->data, from + used, tensor->bytes);
    used += tensor->bytes;
  }
}

/* Answer from the record; `any` takes the first answer whatever the inputs are. */
static int replay(Context *context, Node *node, const uint8_t *inputs, size_t length, int any) {
  static uint8_t key[1 << 20], answer[1 << 22];
  FILE *record = fopen(getenv("STANDIN_TPU_RECORD"), "rb");
  uint32_t lengths[2];
  int status = ERROR;
  while (record != NULL && status == ERROR && fread(lengths, sizeof lengths, 1, record) == 1) {
    if (lengths[0] > sizeof key || lengths[1] > sizeof answer) break;
    if (fread(key, 1, lengths[0], record) != lengths[0]) break;
    if (fread(answer, 1, lengths[1], record) != lengths[1]) break;
    if (any || (lengths[0] == length && memcmp(key, inputs, length) == 0)) {
      if (mode_is("wrong")) memset(answer, 0, lengths[1]);
      scatter(context, node->outputs, answer, lengths[1]);
      status = OK;
    }
  }
  if (record != NULL) fclose(record);
  return status;
}

static int invoke(Context *context, Node *node) {
  static uint8_t inputs[1 << 20];
  if (mode_is("crash")) abort();
  const size_t length = gather(context, node->inputs, inputs, sizeof inputs);
  int status = replay(context, node, inputs, length, 0);
  if (status == ERROR && mode_is("any")) status = replay(context, node, inputs, length, 1);
  if (status == ERROR) context->ReportError(context, "stand-in: these inputs are not in the record");
  return status;
}

static void *init(Context *context, const char *buffer, size_t length) {
  (void)context, (void)buffer, (void)length;
  return NULL;
}

static void drop(Context *context, void *buffer) { (void)context, (void)buffer; }

static int prepare(Context *context, Node *node) {
  (void)context, (void)node;
  return OK;
}

static int claim(Context *context, Delegate *delegate) {
  Ints *plan;
  if (mode_is("idle")) return OK;
  if (context->GetExecutionPlan(context, &plan) != OK) return ERROR;
  Ints *claimed = malloc(sizeof(Ints) + sizeof(int) * (size_t)plan->size);
  claimed->size = 0;
  for (int i = 0; i < plan->size; ++i) {
    Node *node;
    Registration *registration;
    if (context->GetNodeAndRegistration(context, plan->data[i], &node, &registration) != OK) return ERROR;
    if (registration->custom_name != NULL && strcmp(registration->custom_name, "edgetpu-custom-op") == 0)
      claimed->data[claimed->size++] = plan->data[i];
  }
  Registration kernel;
  memset(&kernel, 0, sizeof kernel);
  kernel.init = init;
  kernel.free = drop;
  kernel.prepare = prepare;
  kernel.invoke = invoke;
  kernel.custom_name = "StandInTpu";
  kernel.version = 1;
  const int status = context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, claimed, delegate);
  free(claimed);
  return status;
}

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
  const char *log = getenv("STANDIN_TPU_LOG");
  FILE *file = log != NULL ? fopen(log, "a") : NULL;
  for (size_t i = 0; file != NULL && i < count; ++i) fprintf(file, "%s=%s\n", keys[i], values[i]);
  if (file != NULL) fclose(file);
  if (mode_is("absent")) {
    report("stand-in: no Edge TPU");
    return NULL;
  }
  Delegate *delegate = calloc(1, sizeof *delegate);
  delegate->Prepare = claim;
  delegate->flags = 1; /* allows dynamic tensors, as libedgetpu does: operators are not prepared before it claims them */
  return delegate;
}

void tflite_plugin_destroy_delegate(Delegate *delegate) { free(delegate); }
