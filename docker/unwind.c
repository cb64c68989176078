/* What gcc's unwinder asks of glibc, for a static program with musl: docker/musl.sh adds it to libgcc_eh.a. */
#define _GNU_SOURCE
#include <link.h>
#include <pthread.h>
#include <stddef.h>

/* The unwinder has weak references to these and calls them all the same, because glibc is never without them. */
__attribute__((used)) static void *const called[] = {
    (void *)pthread_once,
    (void *)pthread_mutex_lock,
    (void *)pthread_mutex_unlock,
};

/* glibc's dlfcn.h, as far as the unwinder reads it. */
struct dl_find_object {
    unsigned long long flags;
    void *map_start;
    void *map_end;
    struct link_map *link_map;
    void *eh_frame;
    unsigned long long reserved[7];
};

/* A static program is one object, the first that is told of. */
static int find_tables(struct dl_phdr_info *object, size_t size, void *found)
{
    (void)size;
    for (int at = 0; at < object->dlpi_phnum; at++)
        if (object->dlpi_phdr[at].p_type == PT_GNU_EH_FRAME)
            *(void **)found = (void *)(object->dlpi_addr + object->dlpi_phdr[at].p_vaddr);
    return 1;
}

/* Where the unwinder's tables are. It looks itself whether they say something of the address. */
int _dl_find_object(void *address, struct dl_find_object *result)
{
    (void)address;
    result->eh_frame = NULL;
    dl_iterate_phdr(find_tables, &result->eh_frame);
    return result->eh_frame ? 0 : -1;
}
