/* token-internal.h - what token-api.c needs of token.c beside token.h. */
#ifndef WEIR_NET_TOKEN_INTERNAL_H
#define WEIR_NET_TOKEN_INTERNAL_H

#include "net/token.h"

/* A page session of the token: its text becomes the cookie. Ends after 7 days, with the token, or by token_session_end(). */
MUST_CHECK int token_session_begin(struct token_store *s, str token_name, char ret_text[TOKEN_TEXT_SIZE], struct err *reterr);
MUST_CHECK int token_session_end(struct token_store *s, str text, struct err *reterr);
/* Writes one object per token into the open array of w. */
MUST_CHECK int token_list(struct token_store *s, struct jw *w, struct err *reterr);
const struct clock *token_clock(const struct token_store *s);

#endif
