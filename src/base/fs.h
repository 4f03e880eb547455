/* fs.h - files and folders. All paths are NUL-terminated; errors name the path. */
#ifndef WEIR_BASE_FS_H
#define WEIR_BASE_FS_H

#include "base/base.h"
#include "base/err.h"
#include "base/str.h"

#include <sys/types.h>

/* Appends the whole file to *out (its max is the limit: -WEIR_ELIMIT past it). "-" is not special. */
MUST_CHECK int fs_read(const char *path, struct buf *out, struct err *reterr);
/* As fs_read, from an open descriptor until its end. */
MUST_CHECK int fs_read_fd(int fd, const char *name, struct buf *out, struct err *reterr);
/* Replaces the file so that a crash leaves the old or the new content, never a part: temporary file in the same
 * folder, fsync, rename, fsync of the folder. */
MUST_CHECK int fs_write_atomic(const char *path, str data, mode_t mode, struct err *reterr);
/* As fs_write_atomic without the fsyncs: for files that are made anew at every start. */
MUST_CHECK int fs_write_quick(const char *path, str data, mode_t mode, struct err *reterr);
/* Writes all bytes, going on after EINTR and short writes. */
MUST_CHECK int fs_write_fd(int fd, const char *name, str data, struct err *reterr);
/* Makes the folder and its missing parents; an existing folder is fine (its mode is left alone). */
MUST_CHECK int fs_mkdirs(const char *path, mode_t mode, struct err *reterr);
/* Removes a file or a whole tree without following symbolic links; an absent path is fine. */
MUST_CHECK int fs_remove_tree(const char *path, struct err *reterr);
bool fs_exists(const char *path);
bool fs_is_dir(const char *path);
/* Writes "a/b" to out; -WEIR_ELIMIT when it does not fit. Returns 0. */
MUST_CHECK int fs_join(char *out, size_t size, struct err *reterr, const char *a, const char *b);
/* Path of the running program (for starting itself); out is NUL-terminated. */
MUST_CHECK int fs_self_exe(char *out, size_t size, struct err *reterr);
/* Makes a new folder "prefixXXXXXX" under $TMPDIR (or /tmp). */
MUST_CHECK int fs_temp_dir(const char *prefix, char *out, size_t size, struct err *reterr);
/* Tells the file system that the folders to be made in this one have nothing to do with each other: ext4 then puts them in different parts of the
 * disk, where new files need not step over the many that were removed a moment ago. Best effort. */
void fs_spread(const char *dir);

#endif
