/**
 * The sign-in form.
 * @import * as T from '../shapes.js'
 */
import { h, setText } from '../dom.js';

/** @type {T.SignInForm} */
export const signInForm = (problem, { wording: { words, say, formatSpan }, forgot, signIn }) => {
  const error = h('p', { class: 'problem', id: 'problem', role: 'alert' }, problem);
  const field = (/** @type {string} */ id, /** @type {string} */ type, /** @type {string} */ autocomplete) =>
    h('input', { id, type, name: id, required: true, autocomplete, spellcheck: 'false', autocapitalize: 'none', 'aria-describedby': 'problem' });
  const email = field('email', 'email', 'username');
  const password = field('password', 'password', 'current-password');
  const shown = h('input', { id: 'show-password', type: 'checkbox', onchange: () => (password.type = shown.checked ? 'text' : 'password') });
  const submit = h('button', { type: 'submit', class: 'primary' }, words.signIn);
  const form = h('form', { class: 'sign-in', method: 'post' },
    h('h1', null, words.signIn), h('p', null, words.signInHint),
    h('label', { for: 'email' }, words.email), email, h('label', { for: 'password' }, words.password), password,
    h('div', { class: 'choice' }, shown, h('label', { for: 'show-password' }, words.showPassword), forgot ? h('a', { href: forgot }, words.forgot) : null),
    error, submit);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    submit.disabled = true;
    setText(error, '');
    try {
      await signIn(email.value.trim(), password.value);
    } catch (cause) {
      const { status = 0, retryAfterMs = 0 } = /** @type {{status?: number, retryAfterMs?: number}} */ (cause);
      setText(error, status === 401 ? words.wrongPassword
        : status === 429 ? say('tooMany', { span: formatSpan(Math.max(1000, retryAfterMs)) })
          : status === 403 || status === 421 ? say('refusedPage', { code: status })
            : status === 404 ? words.noPasswords
              : retryAfterMs > 1000 ? say('busyFor', { span: formatSpan(retryAfterMs) }) : words.noReply);
      submit.disabled = false;
      (status === 401 ? password : submit).focus();
    }
  });
  return form;
};
