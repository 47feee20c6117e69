package core

import (
	"cmp"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// redact takes the secret out of an error that a server or go-redis worded. A
// server that does not know AUTH repeats what it was given:
//
//	ERR unknown command 'AUTH', with args beginning with: 'secret'
func redact(err error, opt *redis.Options) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	kept, _, cut := strings.Cut(text, argsEcho)
	if cut {
		kept += argsEcho + " …"
	}
	if opt != nil {
		if secret := secretOf(opt.Username, opt.Password); secret != "" {
			kept = strings.ReplaceAll(kept, secret, "…")
		}
	}
	if kept == text {
		return err
	}
	return &redacted{text: kept, err: err}
}

// secretOf is what nobody may see of a URL's credentials. A user name is none and
// helps to read what a server refuses, but where no password stands beside it, it
// is likely to be one: some write redis://token@host for redis://:token@host.
func secretOf(user, password string) string { return cmp.Or(password, user) }

const argsEcho = "with args beginning with:"

// redacted keeps the error that it stands for to itself: whoever unwraps it would
// have its text.
type redacted struct {
	text string
	err  error
}

func (e *redacted) Error() string        { return e.text }
func (e *redacted) Is(target error) bool { return errors.Is(e.err, target) }
