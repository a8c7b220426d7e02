// Checks every file of test vectors with what was written from the documents alone:  node vectors.js FOLDER
// It needs no packages, and prints the name of each file that it agrees with.

import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decode, encode } from './encoding.js'
import * as ledger from './ledger.js'
import * as wire from './wire.js'

const read = (name) => JSON.parse(readFileSync(join(process.argv[2], name + '.json'), 'utf8'))
const bytes = (text) => Buffer.from(text, 'hex')
const genesis = read('genesis')
const network = read('network')
const chainId = bytes(network.chain_id)

function equal (found, wanted, what) {
  const plain = (each) => Buffer.isBuffer(each) ? each.toString('hex') : typeof each === 'string' ? each : JSON.stringify(each)
  const [one, other] = [plain(found), plain(wanted)]
  ledger.check(one === other, `${what}: ${one} where ${other} is wanted`)
}

function refuses (act, what) {
  try {
    act()
  } catch {
    return
  }
  throw new Error(`${what} is let pass`)
}

const KEY_HEADER = Buffer.from('302e020100300506032b657004220420', 'hex') // PKCS#8 of an Ed25519 seed

function keyOfSeed (seed) {
  const secret = createPrivateKey({ key: Buffer.concat([KEY_HEADER, seed]), format: 'der', type: 'pkcs8' })
  const key = Buffer.from(createPublicKey(secret).export({ format: 'jwk' }).x, 'base64url')
  return { key, sign: (message) => sign(null, message, secret) }
}

const checks = {
  encoding ({ numbers, arrays, long, refused }) {
    for (const { value, bytes: raw } of numbers) {
      equal(encode([BigInt(value)]), raw, value)
      equal(decode(bytes(raw))[0].toString(), value, value)
    }
    for (const { what, bytes: raw } of arrays) equal(encode(decode(bytes(raw))), raw, what)
    equal(encode([Buffer.alloc(256, 7)]), long.bytes, long.what)
    for (const { what, bytes: raw } of refused) refuses(() => decode(bytes(raw)), what)
  },

  genesis () {
    equal(ledger.validatorsOf(genesis).map(([key]) => key.toString('hex')), network.validators.map(({ key }) => key), 'the validators')
  },

  network ({ policy, policy_digest: digest, prefix, topics }) {
    equal(ledger.sha256(Buffer.from('goodfaith/policy/3'), bytes(policy)), digest, 'the digest of the policy')
    equal(ledger.genesisId(genesis, bytes(digest)), network.chain_id, 'the chain id')
    equal(wire.prefixOf(chainId), prefix, 'the prefix')
    equal([prefix + 'blocks', prefix + 'transactions'], topics, 'the topics')
  },

  frames ({ lengths, request, replies }) {
    for (const { length, bytes: raw } of lengths) equal(wire.frame(Buffer.alloc(length)).subarray(0, raw.length / 2), raw, `a length of ${length}`)
    const line = (text) => wire.frame(Buffer.from(text + '\n'))
    const written = Buffer.concat([line('/multistream/1.0.0'), line(request.protocol), wire.frame(bytes(request.request))])
    equal(written, request.written, 'a request')
    for (const [code, { status, body, written }] of replies.entries()) {
      const reply = Buffer.concat([Buffer.from([code]), bytes(body)])
      equal(wire.frame(reply), written, `a reply that is ${status}`)
      if (status === 'ok') equal(wire.bodyOf(reply), body, 'the body')
      else refuses(() => wire.bodyOf(reply), status)
    }
  },

  hello ({ peer, credential, observer, validator, peers }) {
    const { key } = keyOfSeed(bytes(peer.seed))
    equal(Buffer.concat([bytes('002408011220'), key]), peer.peer_id_bytes, 'the peer id')
    equal(Buffer.concat([Buffer.from('goodfaith/peer/1'), chainId, Buffer.from(peer.peer_id)]), credential.message, 'what a credential signs')
    ledger.check(ledger.isSigned(bytes(credential.key), bytes(credential.message), bytes(credential.signature)), 'the credential is not signed')
    equal(wire.nothing(chainId), observer.status, 'the status of an observer')
    equal(wire.hello(bytes(observer.status)), observer.hello, 'the hello of an observer')
    const { head, height, mhp, restart, finalized, time_ms: time, key: named, signature } = validator.fields
    equal(encode([bytes(head), height, mhp, restart, finalized, time, bytes(named), bytes(signature)]), validator.status, 'a status')
    equal(wire.hello(bytes(validator.status), validator.addresses), validator.hello, 'a hello')
    equal(decode(bytes(peers.reply)).map(String), peers.addresses, 'the addresses of peers')
  },

  requests ({ headings, blocks, transactions, proof }) {
    for (const each of [headings, blocks]) equal(wire.range(bytes(each.tip), each.from_height, each.count, each.bytes), each.request, 'a range')
    const heads = decode(bytes(headings.reply)).map((each) => ledger.readHeading(...decode(each), chainId).header)
    const whole = decode(bytes(blocks.reply)).map((each) => ledger.readBlock(each, chainId).header)
    equal(heads.map(({ height }) => height), [2, 3], 'the heights of the headings')
    equal(whole.map(({ id }) => id), heads.map(({ id }) => id), 'the same blocks')
    equal(encode([Buffer.concat(transactions.ids.map(bytes))]), transactions.request, 'a request for transactions')
    equal(decode(bytes(transactions.reply)).map((each) => ledger.readTransaction(each, chainId).id.toString('hex')), transactions.ids, 'transactions')
    const shown = ledger.checkProof(bytes(proof.reply), genesis, chainId, bytes(proof.key))
    equal([shown.height, shown.isMember, shown.nonce], [proof.height, true, 2], 'the proof')
    const spoilt = bytes(proof.reply)
    spoilt[spoilt.length - 40] ^= 1
    refuses(() => ledger.checkProof(spoilt, genesis, chainId, bytes(proof.key)), 'a spoilt proof')
  },

  gossip ({ messages }) {
    const { sign } = keyOfSeed(bytes(read('hello').peer.seed))
    for (const { topic, data, from, seqno, signed, signature, id } of messages) {
      const field = (number, value) => Buffer.concat([Buffer.from([number << 3 | 2]), wire.frame(value)])
      const payload = Buffer.concat([Buffer.from('libp2p-pubsub:'), field(1, bytes(from)), field(2, bytes(data)), field(3, bytes(seqno)), field(4, Buffer.from(topic))])
      equal(payload, signed, 'what a message signs')
      equal(sign(payload), signature, 'its signature')
      equal(wire.messageId(topic, bytes(data)), id, 'its id')
    }
    const { header, ids } = ledger.readAnnouncement(bytes(messages[0].data), chainId)
    equal([header.height, ids.length], [1, 3], 'the announcement')
    equal(decode(bytes(messages[1].data)).length, 3, 'the transactions')
  },

  relay ({ attestations, frame }) {
    const items = decode(bytes(frame)).map((item) => ledger.readAttestation(item, chainId))
    equal(items.map(({ id }) => id.toString('hex')), attestations.map(({ id }) => id), 'the ids')
    equal(items.map(({ height, mhg, mhp }) => [height, mhg, mhp]), attestations.map(({ height, mhg, mhp }) => [height, mhg, mhp]), 'the numbers')
  },

  refusals ({ codes, refusals }) {
    for (const { why, seconds, text, refusal } of refusals) {
      equal(encode([codes[why], seconds, Buffer.from(text)]), refusal, why)
      equal(wire.readRefusal(bytes(refusal)), { why, seconds, text }, why)
    }
  },

  chain ({ transactions, blocks }) {
    const votes = new ledger.Votes(ledger.validatorsOf(genesis), genesis.batch, chainId)
    equal(transactions.map(({ raw }) => ledger.readTransaction(bytes(raw), chainId).id.toString('hex')), transactions.map(({ id }) => id), 'transactions')
    let parent = chainId
    for (const each of blocks) {
      const block = ledger.readBlock(bytes(each.raw), chainId)
      votes.take(block)
      equal(block.header.id, each.id, 'the id of a block')
      equal(block.header.parent, parent, 'its parent')
      equal([block.header.height, block.header.slot, block.header.mhp, votes.final], [each.height, each.slot, each.mhp, each.final_after_it], 'its numbers')
      parent = block.header.id
      refuses(() => ledger.readBlock(Buffer.concat([bytes(each.raw).subarray(0, -1), Buffer.from([1])]), chainId), 'a spoilt block')
    }
  },

  state ({ paths }) {
    for (const { root, key, value, path } of paths) {
      const shown = value === null ? null : bytes(value)
      ledger.check(ledger.isShown(bytes(root), bytes(key), shown, bytes(path)), `the path of ${key}`)
      ledger.check(!ledger.isShown(bytes(root), bytes(key), shown === null ? Buffer.from('x') : null, bytes(path)), `the opposite of ${key}`)
    }
  }
}

for (const [name, agree] of Object.entries(checks)) {
  agree(read(name))
  console.log(name)
}
