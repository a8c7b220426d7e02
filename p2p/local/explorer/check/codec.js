// The canonical encoding (protocol 1.1): arrays, integers of 64 bits and byte strings, each in its shortest form.
// An integer that a number of JavaScript cannot hold is read as a BigInt.

import { check, join, same } from './bytes.js'

const MAX_ITEMS = 10_000
const MAX_DEPTH = 16

export function decode (bytes) {
  const reader = new Reader(bytes)
  const value = reader.value(0)
  check(Array.isArray(value) && reader.at === bytes.length, 'not one array')
  check(same(encode(value), bytes), 'not the shortest form')
  return value
}

export function encode (value) {
  const parts = []
  write(value, parts)
  return join(...parts)
}

function write (value, parts) {
  if (value instanceof Uint8Array) {
    parts.push(sized(value.length, [[0xff, 0xc4, 1], [0xffff, 0xc5, 2], [0xffffffff, 0xc6, 4]]), value)
  } else if (Array.isArray(value)) {
    const { length } = value
    parts.push(length < 16 ? Uint8Array.of(0x90 | length) : sized(length, [[0xffff, 0xdc, 2], [0xffffffff, 0xdd, 4]]))
    for (const item of value) write(item, parts)
  } else {
    parts.push(integer(BigInt(value)))
  }
}

function sized (length, forms) {
  const [, code, width] = forms.find(([most]) => length <= most)
  return coded(code, BigInt(length), width)
}

function integer (value) {
  if (value >= -32n && value < 128n) return Uint8Array.of(Number(BigInt.asUintN(8, value)))
  const forms = [[8, 0xcc, 0xd0], [16, 0xcd, 0xd1], [32, 0xce, 0xd2], [64, 0xcf, 0xd3]]
  const fits = (bits) => value >= 0n ? value < 1n << BigInt(bits) : value >= -(1n << BigInt(bits - 1))
  const form = forms.find(([bits]) => fits(bits))
  check(form, 'an integer of more than 64 bits')
  return coded(value >= 0n ? form[1] : form[2], BigInt.asUintN(form[0], value), form[0] / 8)
}

function coded (code, value, width) {
  const bytes = new Uint8Array(1 + width)
  bytes[0] = code
  for (let at = width; at > 0; at--, value >>= 8n) bytes[at] = Number(value & 0xffn)
  return bytes
}

class Reader {
  constructor (bytes) {
    this.bytes = bytes
    this.at = 0
    this.items = 0
  }

  value (depth) {
    check(depth < MAX_DEPTH, 'too deep')
    const code = this.take(1)[0]
    if (code < 0x80) return code
    if (code >= 0xe0) return code - 256
    if (code >= 0x90 && code <= 0x9f) return this.array(code & 0x0f, depth)
    switch (code) {
      case 0xc4: return this.take(this.length(1))
      case 0xc5: return this.take(this.length(2))
      case 0xc6: return this.take(this.length(4))
      case 0xcc: case 0xcd: case 0xce: case 0xcf: return plain(this.uint(1 << (code - 0xcc)))
      case 0xd0: case 0xd1: case 0xd2: case 0xd3: return plain(BigInt.asIntN(8 << (code - 0xd0), this.uint(1 << (code - 0xd0))))
      case 0xdc: return this.array(this.length(2), depth)
      case 0xdd: return this.array(this.length(4), depth)
      default: return check(false, `0x${code.toString(16)} is not used`)
    }
  }

  array (length, depth) {
    this.items += length
    check(length <= MAX_ITEMS && this.items <= 20 * MAX_ITEMS, 'too long an array')
    return Array.from({ length }, () => this.value(depth + 1))
  }

  length (width) {
    return Number(this.uint(width))
  }

  uint (width) {
    return this.take(width).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  }

  take (length) {
    check(this.at + length <= this.bytes.length, 'it ends too early')
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }
}

function plain (value) {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
