// Microsoft Teams as one person sees it: channels, threads, the chat with the bot.

import { cardFrame } from "./cards.js";
import { badge, busy, el, keep, options, put, when } from "./dom.js";
import { signIn } from "./signin.js";

const CHAT = "chat";
const COMMANDS = ["linkUser", "unlinkUser", "help"];

export function teamsSide(app) {
  const root = document.getElementById("teams");
  const you = root.querySelector("#you");
  const nav = root.querySelector("nav");
  const posts = root.querySelector(".posts");
  const title = root.querySelector("#conversation-title");
  const subtitle = root.querySelector(".conversation-head p");
  const commands = root.querySelector(".commands");
  const composer = root.querySelector(".composer");
  const message = composer.querySelector("textarea");
  const failure = root.querySelector(".conversation > .failure");
  let state;
  let open;
  let notified;

  you.addEventListener("change", () => app.become(you.value));
  addEventListener("focus", () => state && show(state));
  submitsOnEnter(message, composer);
  composer.addEventListener("submit", (event) => {
    event.preventDefault();
    send(message.value, composer);
  });
  commands.append(...COMMANDS.map((word) =>
    el("button", { type: "button", text: word, on: { click: () => send(word) } })));

  async function send(text, form, thread) {
    if (!text.trim()) return;
    const wish = { user: state.you, text };
    if (open !== CHAT) wish.conversation = thread ? `${open};messageid=${thread}` : open;
    const buttons = [...(form ?? commands).querySelectorAll("button")];
    if (await busy(buttons, failure, () => app.post("teams/say", wish)) && form) form.reset();
  }

  function show(fresh) {
    state = fresh;
    const { conversations, here } = choose(state);
    options(you, state.people, state.you);
    const unread = showNav(conversations);
    showConversation(here);
    notify();
    return unread;
  }

  /** Everything one can open, and what is open. At first the first channel with posts, else the first that is not General. */
  function choose({ teams, chat, bot }) {
    const channels = teams.flatMap((team) => team.channels.map((channel) => ({ ...channel, team })));
    const conversations = [...channels, { id: CHAT, name: `Chat with ${bot}`, messages: chat }];
    for (const known of conversations) {
      known.messages ??= known.threads.flatMap((thread) => [thread.root, ...thread.replies]).filter(Boolean);
    }
    if (!conversations.some((known) => known.id === open)) {
      const first = channels.find((channel) => channel.threads.length) ?? channels.find((channel) => channel.id !== channel.team.id);
      open = (first ?? conversations[0]).id;
    }
    return { conversations, here: conversations.find((known) => known.id === open) };
  }

  function showNav(conversations) {
    const seen = app.remembered(`seen.${state.you}`) ?? {};
    let all = 0;
    for (const known of conversations) {
      const visible = known.id === open && document.visibilityState === "visible" && root.offsetParent !== null;
      const newest = known.messages.reduce((latest, post) => (post.id > latest ? post.id : latest), "");
      if (visible && newest > (seen[known.id] ?? "")) seen[known.id] = newest;
      const own = state.people.find((person) => person.id === state.you)?.name;
      known.unread = known.messages.filter((post) => post.id > (seen[known.id] ?? "") && post.from !== own).length;
      all += known.unread;
    }
    app.remember(`seen.${state.you}`, seen);
    const groups = state.teams.map((team) => ({ id: team.id, name: team.name, list: conversations.filter((known) => known.team?.id === team.id) }));
    groups.push({ id: CHAT, name: "Chats", list: conversations.filter((known) => known.id === CHAT) });
    keep(nav, groups, makeGroup, updateGroup);
    return all;
  }

  function makeGroup(group) {
    return el("div", { class: "group" }, el("p", { class: "group-name", text: group.name }), el("ul"));
  }

  function updateGroup(node, group) {
    put(node.firstElementChild, group.name);
    keep(node.lastElementChild, group.list, makeEntry, updateEntry);
  }

  function makeEntry(known) {
    const go = () => {
      open = known.id;
      put(failure, "");
      message.value = "";
      show(state);
      app.refresh();
      posts.scrollTop = posts.scrollHeight;
    };
    return el("li", {}, el("button", { type: "button", on: { click: go } }, el("span", { class: "name" }), el("span", { class: "count" })));
  }

  function updateEntry(node, known) {
    const button = node.firstElementChild;
    const [name, count] = button.children;
    put(name, known.name);
    badge(count, known.unread, "unread");
    button.classList.toggle("unread", known.unread > 0);
    button.classList.toggle("chat", known.id === CHAT);
    if (known.id === open) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }

  function showConversation(here) {
    const changed = posts.dataset.open !== `${state.you} ${here.id}`;
    const atEnd = posts.scrollHeight - posts.scrollTop - posts.clientHeight < 80;
    if (changed) posts.replaceChildren();
    posts.dataset.open = `${state.you} ${here.id}`;
    put(title, here.name);
    put(subtitle, here.team ? here.team.name : "Only you see this chat");
    message.placeholder = here.team ? `Write to @${state.bot}` : `Write to ${state.bot}`;
    commands.hidden = Boolean(here.team);
    const threads = here.threads ?? here.messages.map((post) => ({ id: post.id, root: post, replies: [] }));
    keep(posts, threads.length ? threads : [{ id: "empty" }], (thread) => makeThread(thread, here), updateThread);
    if (changed || atEnd) posts.scrollTop = posts.scrollHeight;
  }

  function makeThread(thread, here) {
    if (thread.id === "empty") return el("p", { class: "empty", text: emptyText(here) });
    const node = el("article", { class: "thread" }, el("div", { class: "root" }), el("div", { class: "replies" }));
    if (here.team) node.append(makeAnswer(thread.id));
    return node;
  }

  function emptyText(here) {
    if (here.team) return "Nothing here yet. Trigger an incident on the PagerDuty side; its card appears in the channel of its service.";
    return `Nothing here yet. ${state.bot} writes to you here when it needs to know who you are in PagerDuty: press a button on a card, or send linkUser.`;
  }

  /** As in Teams: a line under the thread that becomes a form. */
  function makeAnswer(thread) {
    const field = el("textarea", { rows: 1, maxlength: 2000, "aria-label": "Reply", placeholder: `Reply to @${state.bot}` });
    const form = el("form", { class: "composer", hidden: true }, field, el("button", { type: "submit", class: "primary", text: "Reply" }));
    const opener = el("button", { type: "button", class: "quiet", text: "Reply" });
    const close = () => {
      form.hidden = true;
      opener.hidden = false;
    };
    submitsOnEnter(field, form);
    opener.addEventListener("click", () => {
      form.hidden = false;
      opener.hidden = true;
      field.focus();
    });
    form.addEventListener("keydown", (event) => event.key === "Escape" && close());
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      await send(field.value, form, thread);
      if (!field.value) close();
    });
    return el("div", { class: "answer" }, opener, form);
  }

  function updateThread(node, thread) {
    if (thread.id === "empty") return;
    const [root, replies] = node.children;
    keep(root, [thread.root ?? { id: "deleted" }], makePost, updatePost);
    keep(replies, thread.replies, makeReply, updatePost);
  }

  function makePost(post) {
    if (post.id === "deleted") return el("p", { class: "empty", text: "This message has been deleted." });
    const node = el("div", { class: post.fromBot ? "post bot" : "post" });
    const avatar = el("span", { class: "avatar", "aria-hidden": "true", text: initials(post.from) });
    const mark = el("span", { class: "mark" });
    const head = el("p", { class: "by" }, el("b", { text: post.from }), when(post.at), mark);
    const text = el("p", { class: "text" });
    node.append(avatar, el("div", { class: "content" }, head, text));
    node.parts = { mark, text };
    return node;
  }

  function makeReply(post) {
    const node = makePost(post);
    node.classList.add("reply");
    return node;
  }

  function updatePost(node, post) {
    if (post.id === "deleted") return;
    put(node.parts.mark, post.ownView ? "Only you see this version" : post.edited ? "Edited" : "");
    node.parts.text.hidden = !post.text;
    if (post.text && node.parts.said !== post.text) {
      const mention = !post.fromBot && open !== CHAT ? [el("span", { class: "mention", text: state.bot }), " "] : [];
      node.parts.text.replaceChildren(...mention, post.text);
      node.parts.said = post.text;
    }
    if (post.card && !node.parts.card) {
      node.parts.card = cardFrame({
        async press(action, inputs) {
          const user = state.you;
          const shown = await app.post("teams/click", { user, activity: post.id, action, inputs });
          if (shown.kind === "signIn") return opened(user, post.id, shown.url);
          return app.dialog.takes(user, shown) ? { kind: "dialog" } : shown;
        },
        search: (dataset, text) => app.ask("teams/search", { user: state.you, activity: post.id, dataset, text }),
      });
      node.lastElementChild.append(node.parts.card.node);
    }
    if (post.card) node.parts.card.show(post.card, post.summary);
  }

  function opened(user, activity, url) {
    const handOver = (code) => busy([], failure, () => app.post("teams/sign-in", { user, activity, code }));
    const person = state.people.find((known) => known.id === user);
    if (signIn(url, person, handOver)) return { kind: "toast", text: "A window has opened: please log in there." };
    return { kind: "error", text: "The browser did not let the sign-in window open." };
  }

  /** A private message is what one must not miss: it says how to go on. */
  function notify() {
    const newest = state.chat.filter((post) => post.fromBot).at(-1);
    const key = `${state.you} ${newest?.id}`;
    const first = notified === undefined || !notified.startsWith(`${state.you} `);
    if (newest && key !== notified && !first && (open !== CHAT || root.offsetParent === null)) {
      app.toast(`${state.bot}: ${newest.summary ?? newest.text}`, "Open chat", () => {
        open = CHAT;
        app.showSide("teams");
        posts.scrollTop = posts.scrollHeight;
      });
    }
    notified = key;
  }

  return { show };
}

function submitsOnEnter(field, form) {
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
}

function initials(name) {
  const words = name.split(/\s+/).filter(Boolean);
  return [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => [...word][0] ?? "").join("").toUpperCase();
}
