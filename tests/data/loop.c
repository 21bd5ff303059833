/* Executes a million turns of a loop of two instructions between two markers of devices/emulate/count.c,
 * and calls getppid as others would on the way. */
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __x86_64__
#define LOOP __asm__ volatile("mov $1000000, %%rcx\n1: dec %%rcx\njnz 1b" ::: "rcx", "cc")
#elif defined(__aarch64__)
#define LOOP __asm__ volatile("mov x9, #16960\nmovk x9, #15, lsl #16\n1: subs x9, x9, #1\nb.ne 1b" ::: "x9", "cc")
#endif
#define MAGIC 0x45444745L

int main(void)
{
    for (long section = 0; section < 3; section++) {
        syscall(SYS_getppid, MAGIC, 1L, section);
        LOOP;
        if (section == 2) {
            getppid();
            syscall(SYS_getppid, 1L, 2L, section);
        }
        syscall(SYS_getppid, MAGIC, 2L, section);
    }
    return 0;
}
