package keyfuncs

import (
	"errors"
	"fmt"
	"net/netip"
)

// DefaultMaxBody is the number of bytes up to which a key reads a request
// body, unless [WithMaxBody] says otherwise: 1 MiB.
const DefaultMaxBody = 1 << 20

// Option adjusts a [Template], [JSON] or [Form].
type Option func(*sourceConfig) error

// WithMaxBody sets up to how many bytes the sources json and form read a
// request body. A longer one is a [BodyTooLargeError]. Default: [DefaultMaxBody].
func WithMaxBody(bytes int64) Option {
	return func(c *sourceConfig) error {
		if bytes <= 0 {
			return fmt.Errorf("WithMaxBody(%d): the bound must be positive", bytes)
		}
		c.maxBody = bytes
		return nil
	}
}

// WithTrustedProxies names the networks of the proxies whose X-Forwarded-For
// and Forwarded headers the source ip believes. Default: none.
func WithTrustedProxies(prefixes ...netip.Prefix) Option {
	return func(c *sourceConfig) error {
		for _, p := range prefixes {
			if !p.IsValid() {
				return errors.New("WithTrustedProxies: the zero netip.Prefix names no network")
			}
			c.trusted = append(c.trusted, unmapPrefix(p))
		}
		return nil
	}
}

// unmapPrefix turns ::ffff:10.0.0.0/104 into 10.0.0.0/8, as addresses are
// compared unmapped.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

func newSourceConfig(template string, opts []Option) (sourceConfig, error) {
	c := sourceConfig{template: template, maxBody: DefaultMaxBody}
	var errs []error
	for _, opt := range opts {
		errs = append(errs, opt(&c))
	}
	return c, errors.Join(errs...)
}
