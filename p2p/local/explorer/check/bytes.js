// Byte strings: as hexadecimal, as did:key, joined, compared.

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
const DID = 'did:key:z'
const ED25519 = [0xed, 0x01] // the multicodec of a public key

export class Wrong extends Error {}

// What is not so is a lie, or a fault of who told it: whoever checks says so, and goes on with the next.
export function check (condition, what) {
  if (!condition) throw new Wrong(what)
}

const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

export function hex (bytes) {
  let text = ''
  for (const byte of bytes) text += DIGITS[byte]
  return text
}

export function unhex (text) {
  check(typeof text === 'string' && text.length % 2 === 0 && /^[0-9a-f]*$/.test(text), 'not hexadecimal')
  return Uint8Array.from({ length: text.length / 2 }, (_, at) => parseInt(text.slice(2 * at, 2 * at + 2), 16))
}

export const utf8 = (text) => new TextEncoder().encode(text)

export function join (...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

export function compare (one, other) {
  for (let at = 0; at < Math.min(one.length, other.length); at++) if (one[at] !== other[at]) return one[at] - other[at]
  return one.length - other.length
}

export const same = (one, other) => compare(one, other) === 0

export function keyOf (did) {
  check(typeof did === 'string' && did.startsWith(DID), 'not a did:key')
  let number = 0n
  for (const letter of did.slice(DID.length)) {
    check(BASE58.includes(letter), 'not a did:key')
    number = number * 58n + BigInt(BASE58.indexOf(letter))
  }
  const text = number.toString(16).padStart(68, '0')
  check(text.length === 68 && text.startsWith('ed01'), 'not the did:key of an Ed25519 key')
  return unhex(text.slice(4))
}

export function didOf (key) {
  let number = BigInt('0x' + hex(Uint8Array.from([...ED25519, ...key])))
  let text = ''
  for (; number > 0n; number /= 58n) text = BASE58[Number(number % 58n)] + text
  return DID + text
}
