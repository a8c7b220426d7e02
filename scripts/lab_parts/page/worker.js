// Python beside the page, so that the page never waits for it: questions come as text and are answered in their order.

import { loadPyodide } from '/pyodide/pyodide.mjs'

const ready = begin()

async function begin () {
  const [python, engine] = await Promise.all([loadPyodide({ indexURL: '/pyodide/' }), archive()])
  python.FS.mkdir('/engine')
  python.unpackArchive(engine, 'zip', { extractDir: '/engine' })
  python.runPython(`
import sys
sys.path.insert(0, "/engine")
from scripts.lab_parts.standin import take_the_place
take_the_place()
from scripts.lab_parts.experiment import answer
`)
  return python.globals.get('answer')
}

async function archive () {
  const answer = await fetch('/engine.zip')
  if (!answer.ok) throw new Error(`the engine: status ${answer.status}`)
  return answer.arrayBuffer()
}

addEventListener('message', async ({ data }) => {
  try {
    const answer = await ready
    postMessage({ number: data.number, text: answer(data.text) })
  } catch (error) {
    postMessage({ number: data.number, error: String(error) })
  }
})
