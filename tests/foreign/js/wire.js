// Frames, requests and greetings of a Goodfaith network over streams of js-libp2p (wire.md, sections 2 to 4).

import { check, hex, text } from './bytes.js'
import { decode, encode } from './encoding.js'
import { sha256 } from './hashing.js'

export const FAMILY = '/goodfaith/11/'
const MAX_FRAME = 1_200_000
const STATUSES = ['ok', 'busy', 'refused', 'failed']

export function prefixOf (chainId) {
  return FAMILY + hex(chainId).slice(0, 16) + '/'
}

export function frame (payload) {
  const length = []
  let left = payload.length
  while (left >= 0x80) {
    length.push((left & 0x7f) | 0x80)
    left >>= 7
  }
  return Buffer.concat([Buffer.from([...length, left]), payload])
}

// The frames of a stream, one after the other.
export async function * frames (stream) {
  let buffer = Buffer.alloc(0)
  for await (const piece of stream) {
    buffer = Buffer.concat([buffer, piece.subarray()])
    for (let found = first(buffer); found !== null; found = first(buffer)) {
      yield found.payload
      buffer = found.rest
    }
  }
}

function first (buffer) {
  let length = 0
  for (let at = 0; at < Math.min(5, buffer.length); at++) {
    length += (buffer[at] & 0x7f) * 2 ** (7 * at)
    if (buffer[at] < 0x80) {
      check(length <= MAX_FRAME, 'a frame that is too large')
      const end = at + 1 + length
      return buffer.length < end ? null : { payload: buffer.subarray(at + 1, end), rest: buffer.subarray(end) }
    }
  }
  return null
}

// A peer that does not answer, or not now.
export class Away extends Error {}

export function bodyOf (reply) {
  check(reply.length && reply[0] < STATUSES.length, 'a reply without a known status')
  const why = `the peer says ${STATUSES[reply[0]]}: ${text(reply.subarray(1))}`
  if (STATUSES[reply[0]] === 'busy') throw new Away(why)
  if (reply[0] !== 0) throw new Error(why)
  return reply.subarray(1)
}

export class Requests {
  constructor (node, prefix) {
    this.node = node
    this.prefix = prefix
  }

  async ask (peer, name, request) {
    return bodyOf(await this.replyTo(peer, name, request).catch((error) => { throw new Away(`${name}: ${error.message}`) }))
  }

  async replyTo (peer, name, request) {
    const stream = await this.node.dialProtocol(peer, this.prefix + name)
    stream.send(frame(request))
    for await (const reply of frames(stream)) {
      await stream.close()
      return reply
    }
    throw new Error('no reply')
  }

  async serve (name, answer) {
    await this.node.handle(this.prefix + name, async (stream, connection) => {
      for await (const request of frames(stream)) {
        stream.send(frame(Buffer.concat([Buffer.from([0]), answer(request, connection)])))
        await stream.close()
        return
      }
    })
  }
}

export const hello = (status, addresses = []) => encode([addresses.map((each) => Buffer.from(each)), status])

// One who has no block beyond the genesis, and is nobody's machine.
export const nothing = (chainId) => encode([chainId, 0, 0, 0, 0, 0, Buffer.alloc(0), Buffer.alloc(0), 1])

export function readStatus (data) {
  const [head, height, mhp, restart, finalized, time] = decode(data)
  return { head: hex(head), height: Number(height), mhp: Number(mhp), restart: Number(restart), finalized: Number(finalized), time: Number(time) }
}

export const range = (tip, from, count, bytes = 980_000) => encode([tip, from, count, bytes])

export function readRefusal (data) {
  const whys = ['other', 'network', 'version', 'full', 'gave way', 'banned', 'private', 'unserved']
  const [why, seconds, words] = decode(data)
  return { why: whys[Number(why)] ?? 'other', seconds: Number(seconds), text: text(words) }
}

export function messageId (topic, data) {
  const name = Buffer.from(topic)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(name.length)
  return sha256(length, name, data)
}
