/* regex.cc - the shim between regex.h and libre2: the one C++ file of the tree.
 *
 * No exception leaves it. Callable from any thread; a compiled pattern is const. */
#include <new>
#include <re2/re2.h>

extern "C" {
#include "base/regex.h"
}

struct regex {
	RE2 program;
	regex(str pattern, const RE2::Options &options) : program(re2::StringPiece(pattern.ptr, pattern.len), options) {}
};

static re2::StringPiece piece(str s)
{
	return re2::StringPiece(s.len ? s.ptr : "", s.len);
}

static int failure(const RE2 &program, size_t mem_max, struct err *reterr)
{
	if (program.error_code() == RE2::ErrorPatternTooLarge)
		return err_set(reterr, WEIR_ELIMIT, "regular expression needs more than %zu bytes of memory", mem_max);
	return err_set(reterr, WEIR_EPARSE, "regular expression: %s", program.error().c_str());
}

extern "C" int regex_new(str pattern, size_t mem_max, struct regex **ret, struct err *reterr)
{
	try {
		RE2::Options options;

		options.set_log_errors(false);
		options.set_max_mem(static_cast<int64_t>(mem_max));
		struct regex *r = new regex(str_n(pattern.len ? pattern.ptr : "", pattern.len), options);
		if (!r->program.ok()) {
			int code = failure(r->program, mem_max, reterr);

			delete r;
			return code;
		}
		*ret = r;
		return 0;
	} catch (const std::bad_alloc &) {
		return err_set(reterr, WEIR_ENOMEM, "no memory for a regular expression");
	}
}

extern "C" struct regex *regex_free(struct regex *r)
{
	delete r;
	return nullptr;
}

extern "C" bool regex_search(const struct regex *r, str text)
{
	return RE2::PartialMatch(piece(text), r->program);
}

extern "C" bool regex_full(const struct regex *r, str text)
{
	return RE2::FullMatch(piece(text), r->program);
}

extern "C" size_t regex_size(const struct regex *r)
{
	return static_cast<size_t>(r->program.ProgramSize());
}
