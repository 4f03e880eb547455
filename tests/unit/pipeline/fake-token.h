/* fake-token.h - see fake-token.c */
#ifndef WEIR_TESTS_FAKE_TOKEN_H
#define WEIR_TESTS_FAKE_TOKEN_H

extern int fake_tokens_made;

#endif
