// The canonical encoding (protocol 1.1): arrays, integers of 64 bits and byte strings, each in its shortest form.
// Integers are read as BigInt, so that none loses bits.

import { bigEndian, check, concat, hex, same } from './bytes.js'

const MAX_ARRAY = 10_000

export function decode (bytes) {
  const reader = new Reader(bytes)
  const value = reader.value()
  check(Array.isArray(value) && reader.at === bytes.length, 'not one array')
  check(same(encode(value), bytes), 'not the shortest form')
  return value
}

export function encode (value) {
  if (value instanceof Uint8Array) return concat(header(value.length, [[0xff, 0xc4, 1], [0xffff, 0xc5, 2], [0xffffffff, 0xc6, 4]]), value)
  if (Array.isArray(value)) {
    const begin = value.length < 16 ? Uint8Array.of(0x90 | value.length) : header(value.length, [[0xffff, 0xdc, 2], [0xffffffff, 0xdd, 4]])
    return concat(begin, ...value.map(encode))
  }
  return integer(BigInt(value))
}

function header (length, forms) {
  const [, code, width] = forms.find(([most]) => length <= most)
  return coded(code, length, width)
}

function integer (value) {
  if (value >= -32n && value < 128n) return Uint8Array.of(Number(BigInt.asUintN(8, value)))
  const form = [[8, 0xcc, 0xd0], [16, 0xcd, 0xd1], [32, 0xce, 0xd2], [64, 0xcf, 0xd3]]
  const [bits, unsigned, signed] = form.find(([bits]) => value >= 0n ? value < 2n ** BigInt(bits) : value >= -(2n ** BigInt(bits - 1)))
  return coded(value >= 0n ? unsigned : signed, BigInt.asUintN(bits, value), bits / 8)
}

function coded (code, value, width) {
  return concat(Uint8Array.of(code), bigEndian(value, width))
}

class Reader {
  constructor (bytes) {
    this.bytes = bytes
    this.at = 0
  }

  value () {
    const code = this.uint(1)
    if (code < 0x80n) return code
    if (code >= 0xe0n) return code - 256n
    if (code >= 0x90n && code <= 0x9fn) return this.array(Number(code & 0x0fn))
    switch (Number(code)) {
      case 0xc4: return this.take(Number(this.uint(1)))
      case 0xc5: return this.take(Number(this.uint(2)))
      case 0xc6: return this.take(Number(this.uint(4)))
      case 0xcc: return this.uint(1)
      case 0xcd: return this.uint(2)
      case 0xce: return this.uint(4)
      case 0xcf: return this.uint(8)
      case 0xd0: return BigInt.asIntN(8, this.uint(1))
      case 0xd1: return BigInt.asIntN(16, this.uint(2))
      case 0xd2: return BigInt.asIntN(32, this.uint(4))
      case 0xd3: return BigInt.asIntN(64, this.uint(8))
      case 0xdc: return this.array(Number(this.uint(2)))
      case 0xdd: return this.array(Number(this.uint(4)))
      default: throw new Error(`0x${code.toString(16)} is not used`)
    }
  }

  array (length) {
    check(length <= MAX_ARRAY, 'too long an array')
    return Array.from({ length }, () => this.value())
  }

  uint (width) {
    return BigInt('0x' + hex(this.take(width)))
  }

  take (length) {
    check(this.at + length <= this.bytes.length, 'it ends too early')
    this.at += length
    return this.bytes.subarray(this.at - length, this.at)
  }
}
