// Byte strings, as Uint8Array: what browsers and Node.js both have.

export const utf8 = (text) => new TextEncoder().encode(text)
export const text = (bytes) => new TextDecoder().decode(bytes)
export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
export const fromHex = (digits) => Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16))

export function concat (...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

export function compare (one, other) {
  const length = Math.min(one.length, other.length)
  for (let at = 0; at < length; at++) if (one[at] !== other[at]) return one[at] - other[at]
  return one.length - other.length
}

export const same = (one, other) => compare(one, other) === 0

export function bigEndian (value, width) {
  return fromHex(BigInt(value).toString(16).padStart(2 * width, '0'))
}

export function check (condition, what) {
  if (!condition) throw new Error(what)
}
