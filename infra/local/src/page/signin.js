// Teams' part in a sign-in window: it opens the window, greets Microsoft's script in its page, and takes over the page's code.

const SIZE = "popup,width=620,height=720";
/** What the script is told of its host: a window for signing in, in a client that can do nothing else. */
const HOST = ["authentication", "web", JSON.stringify({ apiVersion: 4, hostVersionsInfo: {}, isLegacyTeams: false, supports: {} }), "2.0.1"];

/** What Teams says of the person, in the form that the script turns into its own. */
const contextOf = ({ entra, tenant }) => ({ userObjectId: entra, tid: tenant, frameContext: "authentication" });

export function signIn(url, person, handOver) {
  const page = open(url, "pagerbridge-sign-in", SIZE);
  if (!page) return false;
  const { origin } = new URL(url);
  addEventListener("message", function heard({ source, origin: from, data }) {
    if (source !== page || from !== origin || typeof data?.func !== "string") return;
    if (data.func === "initialize") {
      page.postMessage({ id: data.id, uuidAsString: data.uuidAsString, args: HOST }, origin);
    } else if (data.func === "getContext") {
      page.postMessage({ id: data.id, uuidAsString: data.uuidAsString, args: [contextOf(person)] }, origin);
    } else if (data.func === "authentication.authenticate.success") {
      removeEventListener("message", heard);
      handOver(String(data.args[0]));
    }
  });
  return true;
}
