// A page that shows outputs by VS Code's own widget manager, on a real kernel. With ?buffers=bytes in the address it
// hands messages' buffers over as Colab's manager does: bytes of their own, not views of the message.
import { KernelManager, ServerConnection } from "@jupyterlab/services";
import { activate } from "@vscode/jupyter-ipywidgets8";

const WIDGET = "application/vnd.jupyter.widget-view+json";
const asked = new URLSearchParams(location.search);
const asBytes = asked.get("buffers") === "bytes";

function bytesOf(buffer) {
  const view = ArrayBuffer.isView(buffer) ? buffer : new Uint8Array(buffer);
  return new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

/** The kernel as the manager sees it, with its comms' buffers as bytes. */
function withBytes(kernel) {
  const converted = (comm) =>
    new Proxy(comm, {
      get: (target, name) => (typeof target[name] === "function" ? target[name].bind(target) : target[name]),
      set(target, name, value) {
        const convert = name === "onMsg" && value;
        target[name] = convert
          ? (message) => value({ ...message, buffers: message.buffers?.map(bytesOf) })
          : value;
        return true;
      },
    });
  return new Proxy(kernel, {
    get(target, name) {
      if (name === "registerCommTarget") {
        return (target_name, opened) =>
          target.registerCommTarget(target_name, (comm, message) => opened(converted(comm), message));
      }
      const value = target[name];
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function start() {
  const serverSettings = ServerConnection.makeSettings({
    baseUrl: `${location.origin}/`,
    wsUrl: `${location.origin.replace(/^http/, "ws")}/`,
    token: asked.get("token"),
    appendToken: true,
  });
  const kernel = await new KernelManager({ serverSettings }).startNew({ name: "python3" });
  activate();
  window.vscIPyWidgets8.load();
  const failed = (name, module, version, error) => console.error(`no ${name} of ${module} ${version}: ${error}`);
  const scripts = {
    widgetsRegisteredInRequireJs: new Set(["anywidget"]),
    loadWidgetScript: async () => {},
    successHandler() {},
    errorHandler: failed,
  };
  const outputs = document.getElementById("outputs");
  const manager = new window.vscIPyWidgets.WidgetManager(
    asBytes ? withBytes(kernel) : kernel,
    outputs,
    scripts,
    () => {},
  );

  async function show(data) {
    const node = document.createElement("div");
    node.className = "output cell-output-ipywidget-background";
    outputs.append(node);
    const model = await manager.get_model(data.model_id);
    const view = await manager.create_view(model, { el: node });
    await manager.display_view(data, view, { node });
  }

  /** Runs a cell and shows the widgets it displays. */
  async function run(code) {
    const shown = [];
    const future = kernel.requestExecute({ code });
    future.onIOPub = ({ content }) => {
      if (content.data?.[WIDGET]) shown.push(show(content.data[WIDGET]));
    };
    const reply = await future.done;
    await Promise.all(shown);
    if (reply.content.status !== "ok") throw new Error(`${reply.content.ename}: ${reply.content.evalue}`);
  }

  window.harness = { kernel: kernel.id, run };
}

start();
