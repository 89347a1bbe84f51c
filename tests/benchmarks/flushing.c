/* Loaded into another receiver (LD_PRELOAD), makes it flush each file that it closes, as we flush ours. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

int fclose(FILE *file)
{
    int (*really)(FILE *) = (int (*)(FILE *))dlsym(RTLD_NEXT, "fclose");
    if (file && fileno(file) > 2) {
        fflush(file);
        fsync(fileno(file));
    }
    return really(file);
}
