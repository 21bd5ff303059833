/* Counts what a guest of QEMU's user mode executes between two markers: a TCG plugin.
 *
 * A marker is the system call getppid(MAGIC, command, section): getppid takes no arguments, so the kernel
 * ignores these. Command 1 starts a section, 2 ends it. Only the thread that sets the markers is counted.
 * At the end of each section one line goes to the file named by the plugin's argument `counts`:
 *
 *     SECTION INSTRUCTIONS
 *
 * The prototypes stand here because Debian 12 installs no header: QEMU 7.2, include/qemu/qemu-plugin.h.
 * They are the same up to QEMU 10; only API_VERSION, which QEMU checks against its own range, differs.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifndef API_VERSION
#error "compile with -DAPI_VERSION=1 for QEMU 4.2 to 8.2, 2 for QEMU 9 and later"
#endif

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;

typedef struct {
    const char *target_name;
    struct {
        int min;
        int cur;
    } version;
    bool system_emulation;
    /* More follows, about system emulation. */
} qemu_info_t;

enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };

typedef void (*vcpu_udata_cb)(unsigned int vcpu, void *userdata);
typedef void (*tb_trans_cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*syscall_cb)(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t a1, uint64_t a2,
                           uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8);

extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_trans_cb cb);
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, vcpu_udata_cb cb,
                                                 enum qemu_plugin_cb_flags flags, void *userdata);
extern void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t id, syscall_cb cb);

EXPORT int qemu_plugin_version = API_VERSION;

#define MAGIC UINT64_C(0x45444745) /* "EDGE" */
enum { START = 1, STOP = 2 };

/* QEMU numbers a guest's threads from 0; those beyond the table are not counted and cannot set markers. */
enum { THREADS = 1024 };
static uint64_t executed[THREADS];
static uint64_t at_start[THREADS];
/* Whether a section is begun. A getppid of somebody else's finds our last arguments where nothing has
 * overwritten the registers; that looks like the last marker again, and is passed over. */
static bool begun[THREADS];

static int64_t getppid_number;
static FILE *counts;

static void on_block(unsigned int vcpu, void *instructions)
{
    if (vcpu < THREADS) {
        executed[vcpu] += (uintptr_t)instructions;
    }
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS,
                                         (void *)(uintptr_t)qemu_plugin_tb_n_insns(tb));
}

static void on_syscall(qemu_plugin_id_t id, unsigned int vcpu, int64_t number, uint64_t magic, uint64_t command,
                       uint64_t section, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != getppid_number || magic != MAGIC || vcpu >= THREADS) {
        return;
    }
    if (command == START && !begun[vcpu]) {
        begun[vcpu] = true;
        at_start[vcpu] = executed[vcpu];
    } else if (command == STOP && begun[vcpu]) {
        begun[vcpu] = false;
        fprintf(counts, "%" PRIu64 " %" PRIu64 "\n", section, executed[vcpu] - at_start[vcpu]);
        fflush(counts);
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "counts=", 7) == 0) {
            counts = fopen(argv[i] + 7, "w");
        }
    }
    if (counts == NULL) {
        fprintf(stderr, "count: the argument counts=FILE is missing, or the file cannot be written\n");
        return -1;
    }
    /* The kernel's tables: arch/x86/entry/syscalls/syscall_64.tbl; include/uapi/asm-generic/unistd.h. */
    getppid_number = strcmp(info->target_name, "x86_64") == 0 ? 110 : 173;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
    return 0;
}
